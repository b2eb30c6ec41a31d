# Grafana with the dashboard of this project, and secrets.sh, which takes bash and curl from the same image. Part of compose.yaml.
#
# In an image and not mounted from the checkout, whose files may be closed to other users (umask 077) or to containers
# (SELinux). `--chmod` opens the copies whatever their modes are there.
FROM grafana/grafana:11.6.4
COPY --chmod=0555 deploy/secrets.sh /secrets.sh
COPY --chmod=0555 grafana/provisioning /etc/grafana/provisioning
# Not below /var/lib/grafana: the volume there would hide it, or keep the first version of it for ever.
COPY --chmod=0555 grafana/dashboards /etc/grafana/dashboards
