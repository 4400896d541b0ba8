# Slipway's two images. BASE_IMAGE may be replaced by any image with Python 3.11 and Airflow's dependencies or none.
ARG BASE_IMAGE=apache/airflow:3.3.2-python3.11
ARG AWS_BASE_IMAGE=python:3.11-slim-bookworm

# --- Airflow with the providers, the plugin and the DAGs; every Airflow service runs from this one --------------------
FROM ${BASE_IMAGE} AS airflow
# Set by the official image; named here so that another base gives the same layout.
ENV AIRFLOW_HOME=/opt/airflow
WORKDIR /opt/airflow
COPY requirements.txt /opt/slipway/
# The requirements, with Celery and its client of Redis, and Flask-AppBuilder for people's roles: what make test-fab runs.
COPY tests/fab/requirements.txt tests/fab/constraints.txt /opt/slipway/tests/fab/
RUN pip install --no-cache-dir -c /opt/slipway/tests/fab/constraints.txt -r /opt/slipway/tests/fab/requirements.txt
# A volume of the containers begins with this folder's owner and mode; whoever runs Airflow is in group 0.
RUN mkdir -p /opt/airflow/model-copies && chmod 775 /opt/airflow/model-copies
COPY dags /opt/airflow/dags
COPY plugins /opt/airflow/plugins
COPY include /opt/airflow/include
COPY tools /opt/slipway/tools

# --- the local AWS ------------------------------------------------------------------------------------------------
FROM ${AWS_BASE_IMAGE} AS aws
WORKDIR /opt/slipway
COPY local_aws/requirements.txt local_aws/constraints.txt local_aws/
RUN pip install --no-cache-dir -c local_aws/constraints.txt -r local_aws/requirements.txt
COPY local_aws local_aws
# Training and hosting run as processes of this user; their files and the ledger are in the volume.
RUN useradd --create-home --uid 50000 slipway && mkdir /state && chown slipway /state
USER slipway
VOLUME /state
EXPOSE 4566
# Inside the container's own network; compose publishes the port on the loopback only.
ENTRYPOINT ["python", "-m", "local_aws"]
CMD ["--bind", "0.0.0.0", "--host", "local-aws", "--port", "4566", "--state-dir", "/state"]
