# syntax=docker/dockerfile:1
# One image for orchestrator, worker and migration: `rotor` with another argument.
#
# Debian slim and not distroless: its tags name the exact version of Node (the one in package.json, which all tests
# ran with), while those of distroless move; and functions that are programs are started by its sh and setpriv. Pin the digest
# as well where you build:
#   docker buildx build --build-arg NODE_IMAGE=node:24.21.0-trixie-slim@sha256:... --sbom=true --provenance=mode=max .
ARG NODE_IMAGE=node:24.21.0-trixie-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /build
COPY package.json package-lock.json ./
# Everything, for the compiler. No install script runs: what the build needs is plain JavaScript and prebuilt programs.
RUN ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
COPY tsconfig.json tsconfig.build.json ./
COPY scripts ./scripts
COPY core ./core
COPY rotators ./rotators
COPY stores ./stores
COPY ledger ./ledger
COPY workers ./workers
COPY functions ./functions
COPY orchestrator ./orchestrator
ENV PATH=/build/node_modules/.bin:$PATH
RUN ["node", "scripts/build.ts"]
RUN ["chmod", "0755", "dist/orchestrator/cli/main.js"]

FROM ${NODE_IMAGE} AS dependencies
WORKDIR /build
COPY package.json package-lock.json ./
# Optional ones are the server binaries of the embedded PostgreSQL, which production doesn't use.
RUN ["npm", "ci", "--omit=dev", "--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund"]
# What is in the image, from the lock file, in CycloneDX; written by npm alone, so that it is there without buildx too.
RUN npm sbom --package-lock-only --omit=dev --omit=optional --sbom-format cyclonedx --sbom-type application > sbom.cdx.json

FROM ${NODE_IMAGE}
ARG NODE_IMAGE
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="rotor" \
      org.opencontainers.image.description="Changes a credential everywhere it lives, and proves that the old one is dead." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.base.name="${NODE_IMAGE}" \
      dev.rotor.sbom.path="/app/sbom.cdx.json" \
      dev.rotor.sbom.format="application/vnd.cyclonedx+json"
# Package managers are for building; nobody installs anything in here.
RUN ["rm", "-rf", "/usr/local/lib/node_modules", "/usr/local/bin/npm", "/usr/local/bin/npx", "/usr/local/bin/corepack", "/opt"]
# Nobody becomes somebody else in here, also where the container isn't kept from it: no program runs as its owner.
RUN ["find", "/", "-xdev", "-type", "f", "-perm", "/6000", "-exec", "chmod", "a-s", "{}", "+"]
WORKDIR /app
# Everything belongs to root and can't be written by the user below: the root file system may be read-only.
COPY package.json LICENSE ./
COPY --from=dependencies /build/sbom.cdx.json ./
COPY --from=dependencies /build/node_modules ./node_modules
COPY --from=build /build/dist ./dist
# For people: kubectl exec deploy/rotor-orchestrator -- rotor doctor
RUN ["ln", "-s", "/app/dist/orchestrator/cli/main.js", "/usr/local/bin/rotor"]
ENV NODE_ENV=production \
    ROTOR_MODE=production \
    ROTOR_HOME=/var/lib/rotor \
    HOME=/tmp
# A number, so that Kubernetes can tell that it isn't root (runAsNonRoot).
USER 65532:65532
# Steps at hand are finished before it ends. Node is process 1 and handles the signal; it waits for its own children only, so
# run it with an init (docker run --init, shareProcessNamespace) where policies run programs.
STOPSIGNAL SIGTERM
EXPOSE 8420 8421 8422
# For Docker and Podman; Kubernetes has its probes. Asked is who was given an address to answer at: a migration has none, and a
# worker has one with ROTOR_HEALTH_LISTEN only.
HEALTHCHECK --interval=30s --timeout=5s --start-period=2m \
  CMD ["node", "-e", "const { ROTOR_LISTEN, ROTOR_HEALTH_LISTEN } = process.env; const given = [ROTOR_LISTEN, ROTOR_HEALTH_LISTEN].filter(Boolean).map((at) => at.replace(/^(0\\.0\\.0\\.0|\\[::\\]):/, '127.0.0.1:')); if (given.length > 0) Promise.any(given.map((at) => fetch(`http://${at}/healthz`).then(({ ok }) => ok || Promise.reject()))).catch(() => process.exit(1))"]
ENTRYPOINT ["node", "/app/dist/orchestrator/cli/main.js"]
CMD ["--help"]
