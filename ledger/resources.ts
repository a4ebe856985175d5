import { RotorError } from '../core/errors.ts';
import type { Ledger } from './database.ts';
import type { Applied } from './policies.ts';

export type ResourceKind = 'Provider' | 'Store' | 'Runbook';

export interface Resource<Spec = unknown> {
  readonly kind: ResourceKind;
  readonly namespace: string;
  readonly name: string;
  readonly spec: Spec;
  readonly generation: number;
}

/** Creates or replaces a provider or a store; its generation grows when the spec differs. */
export async function applyResource(
  ledger: Ledger,
  resource: Omit<Resource, 'generation'>,
): Promise<Applied> {
  const [row] = await ledger.query<{ applied: Applied }>(
    `WITH before AS (SELECT spec FROM rotor.resources WHERE kind = $1 AND namespace = $2 AND name = $3),
     written AS (
       INSERT INTO rotor.resources AS r (kind, namespace, name, spec) VALUES ($1, $2, $3, $4)
       ON CONFLICT (kind, namespace, name) DO UPDATE
          SET spec = excluded.spec, updated_at = clock_timestamp(),
              generation = r.generation + CASE WHEN r.spec = excluded.spec THEN 0 ELSE 1 END
       RETURNING 1)
     SELECT CASE WHEN b.spec IS NULL THEN 'created' WHEN b.spec = $4::jsonb THEN 'unchanged' ELSE 'changed' END AS applied
       FROM written LEFT JOIN before b ON true`,
    [resource.kind, resource.namespace, resource.name, JSON.stringify(resource.spec)],
  );
  if (!row)
    throw new RotorError('internal.bug', { what: `${resource.kind} ${resource.name} was not written` });
  return row.applied;
}

/** Removes a provider or a store. @returns whether there was one */
export async function removeResource(
  ledger: Ledger,
  kind: ResourceKind,
  namespace: string,
  name: string,
): Promise<boolean> {
  const rows = await ledger.query(
    'DELETE FROM rotor.resources WHERE kind = $1 AND namespace = $2 AND name = $3 RETURNING kind',
    [kind, namespace, name],
  );
  return rows.length === 1;
}

/** @throws RotorError `ledger.not-found` */
export async function getResource<Spec>(
  ledger: Ledger,
  kind: ResourceKind,
  namespace: string,
  name: string,
): Promise<Resource<Spec>> {
  const rows = await ledger.query<Resource<Spec> & Record<string, unknown>>(
    'SELECT kind, namespace, name, spec, generation FROM rotor.resources WHERE kind = $1 AND namespace = $2 AND name = $3',
    [kind, namespace, name],
  );
  if (!rows[0])
    throw new RotorError('ledger.not-found', { what: `there is no ${kind} ${namespace}/${name}` });
  return rows[0];
}

export async function listResources(ledger: Ledger, kind?: ResourceKind): Promise<readonly Resource[]> {
  return ledger.query<Resource & Record<string, unknown>>(
    `SELECT kind, namespace, name, spec, generation FROM rotor.resources
      WHERE ($1::text IS NULL OR kind = $1) ORDER BY kind, namespace, name`,
    [kind ?? null],
  );
}
