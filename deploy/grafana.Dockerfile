# Grafana with the bandprobe dashboard, and with secrets.sh, which uses the bash and curl of this image. Part of compose.yaml.
#
# The files are copied, not mounted: in the checkout they may be unreadable for other users (umask 077) or for containers
# (SELinux). `--chmod` makes the copies readable whatever their mode is in the checkout.
FROM grafana/grafana:11.6.4
COPY --chmod=0555 deploy/secrets.sh /secrets.sh
COPY --chmod=0555 grafana/provisioning /etc/grafana/provisioning
# Not in /var/lib/grafana: the volume there would hide it, or keep its first version forever.
COPY --chmod=0555 grafana/dashboards /etc/grafana/dashboards
