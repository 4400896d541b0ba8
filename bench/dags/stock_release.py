"""A release by the amazon provider's and Airflow's own operators with their default settings.

It has no checks, gates, stacks and endpoint tests, which a release of Slipway has.
"""

from __future__ import annotations

from airflow.providers.amazon.aws.operators.sagemaker import (
    SageMakerEndpointConfigOperator,
    SageMakerEndpointOperator,
    SageMakerModelOperator,
    SageMakerTrainingOperator,
)
from airflow.providers.amazon.aws.sensors.s3 import S3KeySensor
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, chain

# Each configuration in the run's conf is a request of SageMaker.
with DAG("stock_release", schedule=None, render_template_as_native_obj=True):
    chain(
        S3KeySensor(
            task_id="source", bucket_name="{{ dag_run.conf['bucket'] }}", bucket_key="{{ dag_run.conf['key'] }}"
        ),
        SageMakerTrainingOperator(task_id="train", config="{{ dag_run.conf['job'] }}"),  # type: ignore[arg-type]
        SageMakerModelOperator(task_id="model", config="{{ dag_run.conf['model'] }}"),  # type: ignore[arg-type]
        SageMakerEndpointConfigOperator(task_id="config", config="{{ dag_run.conf['config'] }}"),  # type: ignore[arg-type]
        SageMakerEndpointOperator(task_id="deploy_dev", config="{{ dag_run.conf['dev'] }}"),  # type: ignore[arg-type]
        ApprovalOperator(task_id="approve", subject="Shall this model be put into production?"),
        SageMakerEndpointOperator(task_id="deploy_prd", config="{{ dag_run.conf['prd'] }}"),  # type: ignore[arg-type]
    )
