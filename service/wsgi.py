"""What gunicorn loads: `gunicorn service.wsgi:app`."""

from service.app import create_app
from service.core.settings import Settings

app = create_app(Settings.from_env())
