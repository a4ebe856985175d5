import { z } from 'zod';
import type { Call } from '../../../core/call.ts';
import { systemClock } from '../../../core/clock.ts';
import { RotorError } from '../../../core/errors.ts';
import { silentLog } from '../../../core/log.ts';
import { cryptoRandom } from '../../../core/random.ts';
import { Deadline } from '../../../core/retry.ts';
import { VaultClient } from '../../../core/vault/client.ts';
import { type DraftManifest, type Imported, naming } from '../draft.ts';
import type { Import } from '../import.ts';
import {
  type Connection,
  policyOf,
  providerOf,
  type StaticRole,
  storeOf,
  type VaultPlace,
  whyNotMapped,
} from './map.ts';

export interface VaultImportOptions extends VaultPlace {
  /** Token of the person who imports. */
  readonly tokenFile: string;
}

const PATIENCE_MS = 60_000;
const keys = z.object({ data: z.object({ keys: z.array(z.string()) }) });
const role = z.object({
  data: z.object({
    db_name: z.string(),
    username: z.string(),
    rotation_period: z.number().nullish(),
    rotation_schedule: z.string().nullish(),
    credential_type: z.string().nullish(),
  }),
});
const connection = z.object({
  data: z.object({
    plugin_name: z.string(),
    connection_details: z.object({ connection_url: z.string().nullish() }).nullish(),
  }),
});

/** Policies for the static roles of a database engine. @throws RotorError naming what the token lacks */
export async function importVault(options: VaultImportOptions): Promise<Import> {
  const { address, namespace, mount, tokenFile } = options;
  if (!URL.canParse(address))
    throw new RotorError('config.invalid', {
      what: 'no address of a Vault is known',
      hint: 'Say it by --address or VAULT_ADDR.',
    });
  const auth = { token: { file: tokenFile } };
  const vault = new VaultClient({ address, ...(namespace ? { namespace } : {}), auth }, 'provider');
  try {
    const ask = asking(vault, callOf());
    const names = (await ask('LIST', `${mount}/static-roles`, keys))?.data.keys ?? [];
    const roles: StaticRole[] = [];
    for (const name of names) {
      const read = await ask('GET', `${mount}/static-roles/${name}`, role);
      if (!read) continue;
      const { db_name, username, rotation_period, rotation_schedule, credential_type } = read.data;
      roles.push({
        name,
        connection: db_name,
        username,
        periodSeconds: rotation_period || undefined,
        schedule: rotation_schedule || undefined,
        credentialType: credential_type || 'password',
      });
    }
    const connections = new Map<string, Connection>();
    for (const name of new Set(roles.map((each) => each.connection))) {
      const read = await ask('GET', `${mount}/config/${name}`, connection);
      if (read)
        connections.set(name, {
          name,
          plugin: read.data.plugin_name,
          url: read.data.connection_details?.connection_url ?? '',
        });
    }
    return mapped(roles, connections, options);
  } finally {
    await vault.close();
  }
}

function mapped(
  roles: readonly StaticRole[],
  connections: ReadonlyMap<string, Connection>,
  place: VaultImportOptions,
): Import {
  const [nameFor, providerName] = [naming(), naming()];
  const providers = new Map<string, DraftManifest>();
  const found = roles.map((each): Imported => {
    const of = connections.get(each.connection);
    const unmapped = of ? whyNotMapped(of) : `its connection ${each.connection} is gone from Vault`;
    if (!of || unmapped)
      return { found: `static role ${each.name}`, manifests: [], unmapped: unmapped ?? '' };
    const provider = providers.get(of.name) ?? providerOf(of, place, providerName(of.name));
    providers.set(of.name, provider);
    return policyOf(each, provider.name, 'vault', nameFor(each.name));
  });
  return {
    found,
    shared: providers.size > 0 ? [storeOf(place, 'vault'), ...providers.values()] : [],
    remarks: [],
  };
}

function callOf(): Call {
  const deadline = Deadline.after(PATIENCE_MS);
  return { deadline, clock: systemClock, random: cryptoRandom, log: silentLog, fence: 0n };
}

/** Answers of a form; undefined where there is nothing. @throws RotorError */
function asking(vault: VaultClient, call: Call) {
  return async <T>(method: 'GET' | 'LIST', path: string, schema: z.ZodType<T>): Promise<T | undefined> => {
    const answer = await vault.request(call, method, path);
    if (answer.status === 404) return undefined;
    const read = answer.status === 200 ? schema.safeParse(JSON.parse(answer.body)) : undefined;
    if (read?.success) return read.data;
    throw new RotorError('provider.unsupported', {
      what: `Vault answers ${answer.status} to ${method} ${path}, in a form that Rotor doesn't know`,
      hint: 'Check that a database secrets engine is mounted there (--mount).',
    });
  };
}
