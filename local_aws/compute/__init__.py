"""The compute behind the local SageMaker: training containers and model servers, as processes of this machine.

It knows AWS only as a client (boto3 in, boto3 out) and nothing of the program that hosts the local AWS.
"""
