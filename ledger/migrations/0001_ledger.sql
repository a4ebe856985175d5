-- The ledger: the only truth of Rotor. See docs/ledger.md for how the tables play together.
CREATE SCHEMA IF NOT EXISTS rotor;

-- Grows with every claim of any rotation: the fencing token that providers and stores remember.
CREATE SEQUENCE rotor.fence;

-- Providers and stores, as applied. Specs hold references to secrets, never secrets.
CREATE TABLE rotor.resources (
  kind       text NOT NULL CHECK (kind IN ('Provider', 'Store')),
  namespace  text NOT NULL,
  name       text NOT NULL,
  spec       jsonb NOT NULL,
  generation integer NOT NULL DEFAULT 1,
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (kind, namespace, name)
);

CREATE TABLE rotor.policies (
  uid             uuid PRIMARY KEY,
  namespace       text NOT NULL,
  name            text NOT NULL,
  spec            jsonb NOT NULL,
  generation      integer NOT NULL DEFAULT 1,
  paused          boolean NOT NULL DEFAULT false,
  next_due_at     timestamptz,
  due_reason      text,
  last_rotated_at timestamptz,
  created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  changed_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  UNIQUE (namespace, name)
);

-- The due index: a scheduler's tick reads only what is due, however many policies there are.
CREATE INDEX policies_due ON rotor.policies (next_due_at) WHERE next_due_at IS NOT NULL AND NOT paused;


-- Policies of which something changed that decides when they are due: the scheduler's next tick computes their place in
-- the due index anew. A table of its own, so that the end of a rotation leaves the indexes of policies alone.
CREATE TABLE rotor.replans (policy_uid uuid PRIMARY KEY);

CREATE TABLE rotor.rotations (
  id               uuid PRIMARY KEY,
  -- No foreign key: it is read from policies in the very statement that writes it, and nothing deletes policies.
  policy_uid       uuid NOT NULL,
  policy           text NOT NULL,
  provider         text,
  trigger          text NOT NULL,
  requested_by     text NOT NULL,
  -- What the policy, its provider and its store said when the rotation began: a later apply changes the next one.
  spec             jsonb NOT NULL,
  -- queued, running, waiting, done, rolled-back or needs-human. No CHECK here and in the journal: PostgreSQL parses one
  -- anew for every statement, and only the functions of this folder write.
  state            text NOT NULL DEFAULT 'queued',
  -- The policy whose credential it holds; null from the end on. Two rotations of one credential never interleave, and one
  -- that needs a human still holds its credential. The index looks at this and not at state, so that a row which only
  -- changes its state, lease or worker is updated in place (HOT) and touches no index. Partial indexes would cost more.
  holds            uuid UNIQUE,
  direction        text NOT NULL DEFAULT 'forward',
  step             text,
  epoch            bigint NOT NULL DEFAULT 0,
  worker           text,
  lease_until      timestamptz,
  wake_at          timestamptz,
  wait_reason      text,
  cancel_requested boolean NOT NULL DEFAULT false,
  recovered        boolean NOT NULL DEFAULT false,
  old_version      uuid,
  new_version      uuid,
  error            jsonb,
  trace            text,
  created_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
  started_at       timestamptz,
  deadline_at      timestamptz NOT NULL,
  ended_at         timestamptz
) WITH (fillfactor = 50);

CREATE INDEX rotations_by_policy ON rotor.rotations (policy_uid, created_at DESC);
CREATE INDEX rotations_recent ON rotor.rotations (created_at DESC);

-- One row per commit: the outcome of a step, the intent of the next one, or both. The primary key is the fence of the
-- journal: two workers can't both build on the same row.
-- No foreign key: only recordTransition writes here, and checking it would lock the rotation's row at every step.
CREATE TABLE rotor.journal (
  rotation_id uuid NOT NULL,
  seq         integer NOT NULL,
  at          timestamptz NOT NULL DEFAULT clock_timestamp(),
  epoch       bigint NOT NULL,
  -- The outcome; absent for a first intent.
  direction   text,
  step        text,
  event       text,
  facts       jsonb,
  -- What is about to happen.
  next_direction text,
  next_step   text,
  next_facts  jsonb,
  PRIMARY KEY (rotation_id, seq)
);

CREATE TABLE rotor.credential_versions (
  id          uuid PRIMARY KEY,
  policy_uid  uuid NOT NULL REFERENCES rotor.policies (uid) ON DELETE CASCADE,
  rotation_id uuid,
  state       text NOT NULL CHECK (state IN ('pending', 'current', 'previous', 'revoked', 'discarded')),
  identity    text NOT NULL DEFAULT '',
  -- HMAC-SHA-256 of the secret under the fingerprint key: finds a leaked value without storing it.
  fingerprint bytea,
  compromised boolean NOT NULL DEFAULT false,
  created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  current_at  timestamptz,
  revoked_at  timestamptz
);
CREATE INDEX credential_versions_by_policy ON rotor.credential_versions (policy_uid, created_at DESC);
CREATE INDEX credential_versions_by_fingerprint ON rotor.credential_versions (fingerprint);

-- Rows are written in the transaction of what they tell, and chained (seq, previous_hash, hash) shortly after
-- by whoever holds the sealer's lock: chaining inside each transaction would put all of them in one queue.
CREATE TABLE rotor.audit (
  id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at            timestamptz NOT NULL DEFAULT clock_timestamp(),
  actor         text NOT NULL,
  action        text NOT NULL,
  subject       text NOT NULL,
  detail        jsonb NOT NULL DEFAULT '{}',
  -- Unique, and by the same index the sealer finds what has none yet.
  seq           bigint UNIQUE,
  previous_hash bytea,
  hash          bytea
);

-- API tokens: only their SHA-256 is kept (tokens are 256 random bits, so a plain hash can't be searched).
CREATE TABLE rotor.tokens (
  name       text PRIMARY KEY,
  role       text NOT NULL CHECK (role IN ('viewer', 'operator', 'responder', 'admin')),
  hash       bytea NOT NULL UNIQUE,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at timestamptz,
  revoked_at timestamptz
);

-- Takes hold of a rotation: a new epoch, a lease by the database's clock. Refused (no row) while another worker's
-- lease lasts, before its wake-up time, after its end, or while its provider runs as many rotations as it may.
CREATE FUNCTION rotor.claim(p_id uuid, p_worker text, p_lease_ms integer)
RETURNS SETOF rotor.rotations LANGUAGE plpgsql AS $$
DECLARE
  v_provider text;
  v_limit integer;
BEGIN
  SELECT provider, (spec ->> 'maxConcurrent')::integer INTO v_provider, v_limit FROM rotor.rotations WHERE id = p_id;
  IF v_provider IS NOT NULL AND v_limit IS NOT NULL THEN
    PERFORM pg_advisory_xact_lock(hashtextextended('rotor.provider:' || v_provider, 0));
    IF (SELECT count(*) FROM rotor.rotations
         WHERE holds IS NOT NULL AND provider = v_provider AND state = 'running' AND lease_until > clock_timestamp() AND id <> p_id) >= v_limit THEN
      UPDATE rotor.rotations
         SET wake_at = clock_timestamp() + interval '1 second', wait_reason = 'its provider is at maxConcurrent'
       WHERE id = p_id AND state IN ('queued', 'waiting');
      RETURN;
    END IF;
  END IF;
  RETURN QUERY
  UPDATE rotor.rotations r
     SET epoch = nextval('rotor.fence'),
         recovered = r.recovered OR r.lease_until IS NOT NULL,
         worker = p_worker,
         lease_until = clock_timestamp() + p_lease_ms * interval '1 millisecond',
         wake_at = NULL, wait_reason = NULL,
         state = 'running',
         started_at = coalesce(r.started_at, statement_timestamp())
   WHERE r.id = p_id
     AND r.state IN ('queued', 'running', 'waiting')
     AND (r.lease_until IS NULL OR r.lease_until <= clock_timestamp())
     AND (r.wake_at IS NULL OR r.wake_at <= clock_timestamp())
  RETURNING r.*;
END $$;
