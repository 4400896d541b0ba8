"""How people log in with Flask-AppBuilder: by their passwords in Airflow's database, or by Keycloak.

https://airflow.apache.org/docs/apache-airflow-providers-fab/stable/auth-manager/sso.html
"""

import os

from flask_appbuilder.const import AUTH_DB, AUTH_OAUTH

WTF_CSRF_ENABLED = True
_REALM = os.environ.get("KEYCLOAK_REALM_URL", "").rstrip("/")

if not _REALM:
    AUTH_TYPE = AUTH_DB
else:
    AUTH_TYPE = AUTH_OAUTH
    OAUTH_PROVIDERS = [
        {
            "name": "keycloak",
            "icon": "fa-key",
            "token_key": "access_token",
            "remote_app": {
                "client_id": os.environ["KEYCLOAK_CLIENT_ID"],
                "client_secret": os.environ["KEYCLOAK_CLIENT_SECRET"],
                "server_metadata_url": f"{_REALM}/.well-known/openid-configuration",
                "api_base_url": f"{_REALM}/protocol/",
                "client_kwargs": {"scope": "openid email profile"},
            },
        }
    ]
    # A person is made at the first login. The claim `groups` says the roles, at each login; without it there is none.
    AUTH_USER_REGISTRATION = True
    AUTH_USER_REGISTRATION_ROLE = "Public"
    AUTH_ROLES_SYNC_AT_LOGIN = True
    AUTH_ROLES_MAPPING = {
        "slipway-admin": ["Admin"],
        "slipway-operator": ["Op"],
        "slipway-approver": ["Viewer", "Approver"],
        "slipway-viewer": ["Viewer"],
    }
