import type { Ledger } from './database.ts';
import type { VersionState } from './versions.ts';

/** By what a report was matched to a credential. */
export type MatchedBy = 'fingerprint' | 'identity' | 'secretName' | 'storePath' | 'policy' | 'related';

/** What to look for. */
export interface LookedFor {
  /** Keyed fingerprints, hexadecimal. */
  readonly fingerprints: readonly string[];
  /** User, role, account or key id at the provider. */
  readonly identities: readonly string[];
  /** `namespace/name` of native Secrets. */
  readonly secretNames: readonly string[];
  readonly storePaths: readonly string[];
  /** `namespace/name` */
  readonly policies: readonly string[];
}

export interface Match {
  readonly policyUid: string;
  readonly policy: string;
  /** The version that leaked, and its state: the current one where a policy is named; undefined when none is known. */
  readonly version: { readonly id: string; readonly state: VersionState } | undefined;
  readonly matchedBy: MatchedBy;
  /** What was matched: the fingerprint, the name. */
  readonly by: string;
  /** `namespace/name` of the runbook that the policy names. */
  readonly runbook: string | undefined;
  /** Label `environment` of the policy. */
  readonly environment: string | undefined;
}

interface MatchRow {
  policy_uid: string;
  policy: string;
  version_id: string | null;
  version_state: VersionState | null;
  matched_by: MatchedBy;
  by: string;
  runbook: string | null;
  environment: string | null;
}

/**
 * Finds the credentials that somebody reports: by the fingerprint of any version that ever was, by names at the provider,
 * by native Secrets and store paths of the policies, by policy. Each lookup uses an index but those over the specs.
 */
export async function matchCredentials(ledger: Ledger, wanted: LookedFor): Promise<readonly Match[]> {
  const rows = await ledger.query<MatchRow & Record<string, unknown>>(
    `SELECT v.policy_uid, p.namespace || '/' || p.name AS policy, v.id AS version_id, v.state AS version_state,
            'fingerprint' AS matched_by, encode(v.fingerprint, 'hex') AS by,
            p.namespace || '/' || (p.spec -> 'onCompromise' ->> 'runbook') AS runbook,
            p.spec ->> 'environment' AS environment
       FROM unnest($1::text[]) AS f (hex)
       JOIN rotor.credential_versions v ON v.fingerprint = decode(f.hex, 'hex')
       JOIN rotor.policies p ON p.uid = v.policy_uid
     UNION ALL
     SELECT v.policy_uid, p.namespace || '/' || p.name, v.id, v.state, 'identity', v.identity,
            p.namespace || '/' || (p.spec -> 'onCompromise' ->> 'runbook'), p.spec ->> 'environment'
       FROM unnest($2::text[]) AS i (name)
       JOIN LATERAL (SELECT DISTINCT ON (policy_uid) * FROM rotor.credential_versions
                      WHERE identity = i.name AND identity <> '' ORDER BY policy_uid, created_at DESC) v ON true
       JOIN rotor.policies p ON p.uid = v.policy_uid
     UNION ALL
     SELECT p.uid, p.namespace || '/' || p.name, NULL, NULL, 'secretName', s.name,
            p.namespace || '/' || (p.spec -> 'onCompromise' ->> 'runbook'), p.spec ->> 'environment'
       FROM unnest($3::text[]) AS s (name)
       JOIN rotor.policies p ON EXISTS (
         SELECT FROM jsonb_array_elements(p.spec -> 'deliver') AS d
          WHERE d ->> 'kind' = 'secret' AND d -> 'spec' ->> 'name' = split_part(s.name, '/', 2)
            AND d -> 'spec' -> 'namespaces' ? split_part(s.name, '/', 1))
     UNION ALL
     SELECT p.uid, p.namespace || '/' || p.name, NULL, NULL, 'storePath', s.path,
            p.namespace || '/' || (p.spec -> 'onCompromise' ->> 'runbook'), p.spec ->> 'environment'
       FROM unnest($4::text[]) AS s (path)
       JOIN rotor.policies p ON p.spec -> 'store' ->> 'path' = s.path
     UNION ALL
     SELECT p.uid, p.namespace || '/' || p.name, v.id, v.state, 'policy', s.name,
            p.namespace || '/' || (p.spec -> 'onCompromise' ->> 'runbook'), p.spec ->> 'environment'
       FROM unnest($5::text[]) AS s (name)
       JOIN rotor.policies p ON p.namespace = split_part(s.name, '/', 1) AND p.name = split_part(s.name, '/', 2)
       LEFT JOIN LATERAL (SELECT id, state FROM rotor.credential_versions
                           WHERE policy_uid = p.uid AND state = 'current' ORDER BY created_at DESC LIMIT 1) v ON true`,
    [wanted.fingerprints, wanted.identities, wanted.secretNames, wanted.storePaths, wanted.policies],
    'match-credentials',
  );
  return rows.map((row) => ({
    policyUid: row.policy_uid,
    policy: row.policy,
    version:
      row.version_id === null || row.version_state === null
        ? undefined
        : { id: row.version_id, state: row.version_state },
    matchedBy: row.matched_by,
    by: row.by,
    runbook: row.runbook ?? undefined,
    environment: row.environment ?? undefined,
  }));
}

/** Other policies of the same store path, provider account or native Secret: what else a leak may have touched. */
export async function relatedPolicies(
  ledger: Ledger,
  policyUid: string,
): Promise<readonly { readonly uid: string; readonly policy: string }[]> {
  return ledger.query<{ uid: string; policy: string }>(
    `SELECT o.uid, o.namespace || '/' || o.name AS policy
       FROM rotor.policies p JOIN rotor.policies o ON o.uid <> p.uid
      WHERE p.uid = $1 AND o.namespace = p.namespace
        AND (o.spec -> 'store' = p.spec -> 'store'
             OR (o.spec ->> 'provider' = p.spec ->> 'provider' AND o.spec -> 'credential' = p.spec -> 'credential')
             OR EXISTS (SELECT FROM jsonb_array_elements(o.spec -> 'consumers') AS c
                         WHERE c -> 'spec' <> '{}' AND p.spec -> 'consumers' @> jsonb_build_array(c - 'name')))
      ORDER BY 2 LIMIT 100`,
    [policyUid],
  );
}
