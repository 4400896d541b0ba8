"""AWS CodeBuild: projects, and builds that run their buildspec's commands."""
