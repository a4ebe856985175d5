-- Manifests that came from custom resources of a cluster, each in the generation that was applied last: a process that
-- lags behind the cluster can't put an older one over a newer, and what was deleted while nobody watched is found.
CREATE TABLE rotor.cluster_objects (
  kind       text NOT NULL,
  namespace  text NOT NULL,
  name       text NOT NULL,
  -- metadata.uid, creationTimestamp and generation of the object.
  uid        text NOT NULL,
  born_at    timestamptz NOT NULL,
  generation bigint NOT NULL,
  PRIMARY KEY (namespace, kind, name)
);

-- Requests for a rotation that are answered once, whoever repeats them and how often.
CREATE TABLE rotor.rotation_requests (
  policy_uid  uuid NOT NULL,
  key         text NOT NULL,
  rotation_id uuid NOT NULL,
  at          timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (policy_uid, key)
);
