"""An AWS on this machine: ministack as host, SageMaker and Application Auto Scaling as added services."""
