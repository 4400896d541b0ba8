"""The built-in XGBoost algorithm: https://docs.aws.amazon.com/sagemaker/latest/dg/xgboost.html"""
