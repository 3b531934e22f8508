from irsa_stack.controllers.aws_load_balancer_controller import AwsLoadBalancerController as AwsLoadBalancerController
from irsa_stack.controllers.cert_manager import CertManager as CertManager
from irsa_stack.controllers.cloud_watch_observability import CloudWatchObservability as CloudWatchObservability
from irsa_stack.controllers.cluster_autoscaler import ClusterAutoscaler as ClusterAutoscaler
from irsa_stack.controllers.cni_metrics_helper import CniMetricsHelper as CniMetricsHelper
from irsa_stack.controllers.ebs_csi_driver import EbsCsiDriver as EbsCsiDriver
from irsa_stack.controllers.efs_csi_driver import EfsCsiDriver as EfsCsiDriver
from irsa_stack.controllers.efs_csi_node import EfsCsiNode as EfsCsiNode
from irsa_stack.controllers.external_dns import ExternalDns as ExternalDns
from irsa_stack.controllers.external_secrets import ExternalSecrets as ExternalSecrets
from irsa_stack.controllers.karpenter import Karpenter as Karpenter
from irsa_stack.controllers.mountpoint_s3_csi_driver import MountpointS3CsiDriver as MountpointS3CsiDriver
from irsa_stack.controllers.node_termination_handler import NodeTerminationHandler as NodeTerminationHandler
from irsa_stack.controllers.object_store import ObjectStore as ObjectStore
from irsa_stack.controllers.prometheus_query import PrometheusQuery as PrometheusQuery
from irsa_stack.controllers.prometheus_remote_write import PrometheusRemoteWrite as PrometheusRemoteWrite
from irsa_stack.controllers.velero import Velero as Velero
from irsa_stack.controllers.vpc_cni import vpc_cni_policy as vpc_cni_policy

__all__ = ['AwsLoadBalancerController', 'CertManager', 'CloudWatchObservability', 'ClusterAutoscaler', 'CniMetricsHelper', 'EbsCsiDriver', 'EfsCsiDriver', 'EfsCsiNode', 'ExternalDns', 'ExternalSecrets', 'Karpenter', 'MountpointS3CsiDriver', 'NodeTerminationHandler', 'ObjectStore', 'PrometheusQuery', 'PrometheusRemoteWrite', 'Velero', 'vpc_cni_policy']
