import { formatDuration } from '../../../core/duration.ts';
import { cronProblem } from '../../schedule/cron.ts';
import type { DraftManifest, Imported } from '../draft.ts';

/** A static role as Vault tells of it (`GET database/static-roles/:name`). Times are in seconds. */
export interface StaticRole {
  readonly name: string;
  readonly connection: string;
  readonly username: string;
  readonly periodSeconds: number | undefined;
  readonly schedule: string | undefined;
  readonly credentialType: string;
}

/** A connection of the database engine (`GET database/config/:name`), as far as it can be read. */
export interface Connection {
  readonly name: string;
  readonly plugin: string;
  readonly url: string;
}

export interface VaultPlace {
  readonly address: string;
  readonly namespace: string | undefined;
  readonly mount: string;
  readonly kvMount: string;
  /** As which the workers log in to Vault; they may do so otherwise. */
  readonly kubernetesRole: string | undefined;
}

const POSTGRES = 'postgresql-database-plugin';

/** Whether Rotor can try credentials of such a database; else why not. */
export function whyNotMapped({ plugin }: Connection): string | undefined {
  return plugin === POSTGRES
    ? undefined
    : `its database (${plugin}) is none that Rotor can try a credential of Vault at: PostgreSQL is`;
}

/** The provider of a connection, which all its roles share. Pure. */
export function providerOf(connection: Connection, place: VaultPlace, name: string): DraftManifest {
  const { postgres, open } = databaseOf(connection.url);
  return {
    kind: 'Provider',
    name,
    notes: [`From the connection ${connection.name} of Vault's database engine at ${place.mount}.`],
    spec: { vaultDatabase: { ...serverOf(place), mount: place.mount, postgres } },
    open: [...authOpen('vaultDatabase', place), ...open],
  };
}

export function storeOf(place: VaultPlace, name: string): DraftManifest {
  return {
    kind: 'Store',
    name,
    spec: { vault: { ...serverOf(place), mount: place.kvMount } },
    open: authOpen('vault', place),
  };
}

/** The policy of a static role. Pure. */
export function policyOf(role: StaticRole, provider: string, store: string, name: string): Imported {
  const { schedule, open } = scheduleOf(role);
  const typed =
    role.credentialType === 'password'
      ? []
      : [`spec.credential: its credential is a ${role.credentialType}, and Rotor rotates passwords`];
  return {
    found: `static role ${role.name}`,
    manifests: [
      {
        kind: 'RotationPolicy',
        name,
        notes: [
          `From the static role ${role.name} of Vault (user ${role.username}).`,
          'Let Vault rotate it seldom (a long rotation_period): it tells nobody when it does. Then remove `suspend`.',
        ],
        open: [...typed, ...open],
        spec: {
          provider,
          credential: { vaultDatabase: { staticRole: role.name, acknowledgeNoOverlap: true } },
          store: { name: store, path: `database/${role.name}` },
          ...(schedule ? { schedule } : {}),
          suspend: true,
        },
      },
    ],
  };
}

function serverOf({ address, namespace, kubernetesRole }: VaultPlace): object {
  return {
    address,
    ...(namespace ? { namespace } : {}),
    ...(kubernetesRole ? { auth: { kubernetes: { role: kubernetesRole } } } : {}),
  };
}

const authOpen = (field: string, { kubernetesRole }: VaultPlace) =>
  kubernetesRole ? [] : [`spec.${field}.auth: how the workers log in (docs/vault.md), or --kubernetes-role`];

function scheduleOf({ periodSeconds, schedule }: StaticRole) {
  if (schedule === undefined)
    return periodSeconds
      ? { schedule: { every: formatDuration(periodSeconds * 1_000).replaceAll(' ', '') }, open: [] }
      : { schedule: undefined, open: ['spec.schedule: Vault has none for it'] };
  if (cronProblem(schedule) !== undefined)
    return { schedule: undefined, open: [`spec.schedule: "${schedule}" of Vault has no like here`] };
  return { schedule: { cron: schedule, timeZone: 'UTC' }, open: [] };
}

/** Host, port and database of a `connection_url`, whose user and password are Vault's own and left out. */
function databaseOf(text: string): { readonly postgres: object; readonly open: readonly string[] } {
  const plain = text.replaceAll(/\{\{[^}]*\}\}/g, 'x');
  const url = URL.canParse(plain) ? new URL(plain) : undefined;
  const database = url?.pathname.slice(1);
  if (!url || !/^postgres(ql)?:$/.test(url.protocol) || !url.hostname || !database)
    return {
      postgres: {},
      open: [
        'spec.vaultDatabase.postgres: hosts and database, which the connection doesn’t name as an address',
      ],
    };
  const modes: Readonly<Record<string, string>> = {
    disable: 'disable',
    require: 'require',
    'verify-ca': 'verify-full',
    'verify-full': 'verify-full',
  };
  const mode = modes[url.searchParams.get('sslmode') ?? ''];
  return {
    postgres: {
      hosts: [{ host: url.hostname, port: Number(url.port || 5_432) }],
      database: decodeURIComponent(database),
      ...(mode ? { tls: { mode } } : {}),
    },
    open: [],
  };
}
