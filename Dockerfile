# syntax=docker/dockerfile:1
FROM python:3.12.8-slim-bookworm AS build

WORKDIR /src
RUN python -m venv /opt/ai-suricata/.venv
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN /opt/ai-suricata/.venv/bin/pip install --no-cache-dir .

FROM python:3.12.8-slim-bookworm

# A fixed id: what is mounted can be given to it.
RUN groupadd --system --gid 10001 ai-suricata \
    && useradd --system --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin ai-suricata \
    && install -d -o ai-suricata -g ai-suricata -m 0700 /var/lib/ai-suricata
COPY --from=build /opt/ai-suricata/.venv /opt/ai-suricata/.venv

# In a container loopback is nobody's: the port is published on the host's loopback instead.
ENV PATH=/opt/ai-suricata/.venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    METRICS_HOST=0.0.0.0 \
    LOG_FORMAT=json
USER 10001:10001
VOLUME /var/lib/ai-suricata
EXPOSE 9100
STOPSIGNAL SIGTERM

# The slim image has no curl. An answer other than 200 raises, and so fails the check.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:9100/ready', timeout=4)"]

ENTRYPOINT ["ai-suricata"]
CMD ["run", "--config", "/etc/ai-suricata/config.env"]
