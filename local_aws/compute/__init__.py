"""The compute behind the local SageMaker: training containers and model servers, as processes of this machine.

It uses AWS as a boto3 client, and knows nothing of the host except the settings.
"""
