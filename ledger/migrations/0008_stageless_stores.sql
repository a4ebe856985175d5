-- Stores that know no stages keep what consumers read, and nothing beside it. Which versions there are of such a path, in
-- which stage, and their documents, is here; documents are sealed with the key-encryption key.
CREATE TABLE rotor.stageless_paths (
  -- Kind and address of the store.
  home       text NOT NULL,
  path       text NOT NULL,
  -- Grows with every change: who decided by an older one looks again.
  generation bigint NOT NULL,
  -- Highest fencing token that wrote here.
  fence      bigint NOT NULL,
  -- The version that consumers are to read, what stood at the path when that was decided (a keyed hash), and whether it
  -- has been seen there since.
  live       jsonb,
  PRIMARY KEY (home, path)
);
CREATE TABLE rotor.stageless_versions (
  home       text NOT NULL,
  path       text NOT NULL,
  version_id text NOT NULL,
  -- Place in the order in which they came.
  position   integer NOT NULL,
  created_at timestamptz NOT NULL,
  stages     text[] NOT NULL,
  sealed     text NOT NULL,
  PRIMARY KEY (home, path, version_id),
  FOREIGN KEY (home, path) REFERENCES rotor.stageless_paths (home, path) ON DELETE CASCADE
);
