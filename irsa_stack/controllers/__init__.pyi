from irsa_stack.controllers.aws_load_balancer_controller import AwsLoadBalancerController as AwsLoadBalancerController
from irsa_stack.controllers.cluster_autoscaler import ClusterAutoscaler as ClusterAutoscaler
from irsa_stack.controllers.external_dns import ExternalDns as ExternalDns
from irsa_stack.controllers.vpc_cni import vpc_cni_policy as vpc_cni_policy

__all__ = ['AwsLoadBalancerController', 'ClusterAutoscaler', 'ExternalDns', 'vpc_cni_policy']
