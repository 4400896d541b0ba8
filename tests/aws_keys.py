"""The access keys of the local AWSes that tests start by themselves: the same for all of a session's processes."""

import os

from local_aws.host.credentials import Credentials, from_environment

CREDENTIALS = from_environment(os.environ) or Credentials.new()
os.environ.update(CREDENTIALS.variables())
