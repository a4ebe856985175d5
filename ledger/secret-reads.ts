import type { Ledger } from './database.ts';

/** One request that read Secrets, as the audit log of a cluster has it. Nothing of what was read. */
export interface SecretRead {
  /** The cluster's own id of the request. */
  readonly auditId: string;
  readonly at: Date;
  readonly verb: 'get' | 'list' | 'watch';
  /** Null: all namespaces. */
  readonly namespace: string | null;
  /** Null: all Secrets of the namespace, or of all. */
  readonly name: string | null;
  readonly user: string;
  /** As whom the user acted. */
  readonly impersonated: string | null;
  readonly groups: readonly string[];
  /** The last one is the connection's own; those before are what the client says. */
  readonly ips: readonly string[];
  readonly userAgent: string | null;
  /** HTTP status of the answer: 200 gave the content, 403 did not. */
  readonly code: number | null;
}

/** A read as it is to be kept. */
export interface NewRead extends SecretRead {
  /** The policy's name of the Secret, where there is one Secret per version. */
  readonly logicalName: string | null;
}

/**
 * Keeps those that read a Secret which some policy delivers; a request that is known already adds nothing.
 * @param context only policies that deliver to this context of the kubeconfig; undefined: to any
 * @returns how many were kept
 */
export async function recordReads(
  ledger: Ledger,
  source: string,
  context: string | undefined,
  reads: readonly NewRead[],
): Promise<number> {
  const rows = await ledger.query(
    `WITH delivered AS MATERIALIZED (
       SELECT DISTINCT n.namespace, d -> 'spec' ->> 'name' AS name
         FROM rotor.policies p
        CROSS JOIN LATERAL jsonb_array_elements(p.spec -> 'deliver') AS d
        CROSS JOIN LATERAL jsonb_array_elements_text(d -> 'spec' -> 'namespaces') AS n (namespace)
        WHERE d ->> 'kind' = 'secret' AND ($2::text IS NULL OR d -> 'spec' ->> 'context' = $2))
     INSERT INTO rotor.secret_reads
            (source, audit_id, at, verb, namespace, name, user_name, impersonated, groups, ips, user_agent, code)
     SELECT $1, r."auditId", r.at, r.verb, r.namespace, r.name, r."user", r.impersonated,
            ARRAY(SELECT jsonb_array_elements_text(r.groups)), ARRAY(SELECT jsonb_array_elements_text(r.ips)), r."userAgent", r.code
       FROM jsonb_to_recordset($3::jsonb) AS r ("auditId" text, at timestamptz, verb text, namespace text, name text,
            "logicalName" text, "user" text, impersonated text, groups jsonb, ips jsonb, "userAgent" text, code integer)
      WHERE EXISTS (SELECT FROM delivered d
                     WHERE (r.namespace IS NULL OR d.namespace = r.namespace)
                       AND (r.name IS NULL OR d.name IN (r.name, r."logicalName")))
     ON CONFLICT DO NOTHING RETURNING audit_id`,
    [source, context ?? null, JSON.stringify(reads)],
    'record-reads',
  );
  return rows.length;
}

/**
 * Who read Secrets since then, oldest first, those included that listed or watched all of a namespace. A watch that was there
 * before sees what is written later; API servers end them after an hour at the latest (`--min-request-timeout`, twice).
 * @param secrets by their names in the cluster
 */
export async function readsOf(
  ledger: Ledger,
  secrets: readonly { readonly namespace: string; readonly name: string }[],
  since: Date,
  limit = 1_000,
): Promise<readonly (SecretRead & { readonly source: string })[]> {
  return ledger.query<SecretRead & { source: string } & Record<string, unknown>>(
    `SELECT source, audit_id AS "auditId", at, verb, namespace, name, user_name AS "user", impersonated, groups, ips,
            user_agent AS "userAgent", code
       FROM rotor.secret_reads r
      WHERE at >= $2::timestamptz - CASE WHEN verb = 'watch' THEN interval '1 hour' ELSE interval '0' END AND EXISTS (
        SELECT FROM jsonb_to_recordset($1::jsonb) AS s (namespace text, name text)
         WHERE (r.namespace IS NULL OR r.namespace = s.namespace) AND (r.name IS NULL OR r.name = s.name))
      ORDER BY at LIMIT $3`,
    [JSON.stringify(secrets), since, limit],
  );
}

/** @returns how many were forgotten */
export async function forgetReads(ledger: Ledger, olderThanMs: number): Promise<number> {
  const [row] = await ledger.query<{ count: number }>(
    `WITH gone AS (DELETE FROM rotor.secret_reads WHERE at < clock_timestamp() - $1 * interval '1 millisecond' RETURNING 1)
     SELECT count(*)::integer FROM gone`,
    [olderThanMs],
  );
  return row?.count ?? 0;
}
