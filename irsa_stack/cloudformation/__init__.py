"""Its language: deploy-time values, `Fn::Sub`, intrinsic functions, policy documents."""
