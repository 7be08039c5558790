"""The Grafana dashboards of `grafana/`, made from the daemon's own metrics with grafana-foundation-sdk: an extra, and no part of the daemon."""

try:
    import grafana_foundation_sdk as _sdk  # noqa: F401 (told here, before a deeper import fails without a remedy)
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("there is no grafana-foundation-sdk here: pip install 'rollback-daemon[grafana]'", name=error.name) from error
