"""Models that fail at requests, as artifacts of the built-in XGBoost."""

import io
import json
import tarfile

from tests.local_aws.sagemaker_cases import BUCKET, ROWS, training_request, upload, wait_for_job

# Far behind the last node: a reader leaves the memory of the process.
_NOWHERE = 1 << 28


def crashing_model_data(aws):
    """Put an artifact of a model that loads, answers /ping and kills its server at each request; return its URL."""
    upload(aws, "crashing")
    aws.client("s3").put_object(Bucket=BUCKET, Key="crashing/model.tar.gz", Body=crashing_archive())
    return f"s3://{BUCKET}/crashing/model.tar.gz"


def refusing_model_data(aws):
    """Return the artifact of a model that answers our rows with 400, because it was trained with one more column."""
    rows = "\n".join(f"{label},{row},1.0" for label, row in ROWS.items())
    for channel in ("train", "validation"):
        aws.client("s3").put_object(Bucket=BUCKET, Key=f"wide/input/{channel}/data.csv", Body=rows.encode())
    sagemaker = aws.client("sagemaker")
    if not sagemaker.list_training_jobs(NameContains="wide")["TrainingJobSummaries"]:
        sagemaker.create_training_job(**training_request("wide", "wide"))
    return wait_for_job(aws, "wide")["ModelArtifacts"]["S3ModelArtifacts"]


def crashing_archive():
    """Write the model.tar.gz of a model for two features and three classes whose trees lead nowhere."""
    content = json.dumps(_model([_tree(number) for number in range(3)])).encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        member = tarfile.TarInfo("xgboost-model")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _model(trees):
    """Describe a model as https://xgboost.readthedocs.io/en/stable/tutorials/saving_model.html does."""
    return {
        "learner": {
            "attributes": {},
            "feature_names": [],
            "feature_types": [],
            "gradient_booster": {
                "model": {
                    "cats": {"enc": [], "feature_segments": [], "sorted_idx": []},
                    "gbtree_model_param": {"num_parallel_tree": "1", "num_trees": str(len(trees))},
                    "iteration_indptr": [0, len(trees)],
                    "tree_info": list(range(len(trees))),
                    "trees": trees,
                },
                "name": "gbtree",
            },
            "learner_model_param": {
                "base_score": "[5E-1,5E-1,5E-1]",
                "boost_from_average": "0",
                "num_class": "3",
                "num_feature": "2",
                "num_target": "1",
            },
            "objective": {"name": "multi:softmax", "softmax_multiclass_param": {"num_class": "3"}},
        },
        "version": [3, 2, 0],
    }


def _tree(number):
    categories = {key: [] for key in ("categories", "categories_nodes", "categories_segments", "categories_sizes")}
    return categories | {
        "base_weights": [0.0, 0.3, -0.2],
        "default_left": [0, 0, 0],
        "id": number,
        "left_children": [_NOWHERE, -1, -1],
        "loss_changes": [5.0, 0.0, 0.0],
        "parents": [2147483647, 0, 0],
        "right_children": [_NOWHERE, -1, -1],
        "split_conditions": [5.0, 0.3, -0.2],
        "split_indices": [0, 0, 0],
        "split_type": [0, 0, 0],
        "sum_hessian": [6.0, 2.0, 4.0],
        "tree_param": {"num_deleted": "0", "num_feature": "2", "num_nodes": "3", "size_leaf_vector": "1"},
    }
