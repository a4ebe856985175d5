import type { Ledger } from './database.ts';

/** A manifest that came from a custom resource. */
export interface ClusterObjectRow {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly bornAt: Date;
  readonly generation: number;
}

/**
 * Notes that a manifest comes from this object in this generation, in the transaction that applies it; others who apply
 * the same wait until it ends.
 * @returns false when a newer generation, or a newer object of that name, was applied already
 */
export async function claimClusterObject(ledger: Ledger, object: ClusterObjectRow): Promise<boolean> {
  const rows = await ledger.query(
    `INSERT INTO rotor.cluster_objects AS o (kind, namespace, name, uid, born_at, generation)
     VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (namespace, kind, name) DO UPDATE
        SET uid = excluded.uid, born_at = excluded.born_at, generation = excluded.generation
      WHERE (o.uid = excluded.uid AND o.generation <= excluded.generation)
         OR (o.uid <> excluded.uid AND o.born_at <= excluded.born_at)
     RETURNING kind`,
    [object.kind, object.namespace, object.name, object.uid, object.bornAt, object.generation],
  );
  return rows.length === 1;
}

/** Forgets that a manifest came from the object with `uid`. @returns false when it came from another one meanwhile */
export async function releaseClusterObject(
  ledger: Ledger,
  { kind, namespace, name, uid }: Pick<ClusterObjectRow, 'kind' | 'namespace' | 'name' | 'uid'>,
): Promise<boolean> {
  const rows = await ledger.query(
    `DELETE FROM rotor.cluster_objects WHERE namespace = $2 AND kind = $1 AND name = $3 AND uid = $4 RETURNING kind`,
    [kind, namespace, name, uid],
  );
  return rows.length === 1;
}

export async function listClusterObjects(
  ledger: Ledger,
  namespace: string,
): Promise<readonly ClusterObjectRow[]> {
  return ledger.query<ClusterObjectRow & Record<string, unknown>>(
    `SELECT kind, namespace, name, uid, born_at AS "bornAt", generation::float8 AS generation
       FROM rotor.cluster_objects WHERE namespace = $1 ORDER BY kind, name`,
    [namespace],
    'list-cluster-objects',
  );
}

/** Namespaces with manifests that came from custom resources. */
export async function clusterNamespaces(ledger: Ledger): Promise<readonly string[]> {
  const rows = await ledger.query<{ namespace: string }>(
    'SELECT DISTINCT namespace FROM rotor.cluster_objects ORDER BY namespace',
  );
  return rows.map(({ namespace }) => namespace);
}
