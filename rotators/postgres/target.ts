import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { foreignCode, RotorError } from '../../core/errors.ts';
import { SecretValue } from '../../core/secret.ts';
import type { ProviderSpec } from './spec.ts';

/** Where a provider is: the hosts in order, and the database in which admin work and attempts happen. */
export interface Target {
  readonly hosts: readonly Place[];
  readonly database: string;
  readonly tls: ProviderSpec['tls'];
}

export interface Place {
  readonly host: string;
  readonly port: number;
}

/** @param database of the credential, where it names another than its provider */
export function targetOf(spec: ProviderSpec, database?: string): Target {
  const { tls } = spec;
  if (spec.hosts) return { hosts: spec.hosts, database: database ?? spec.database ?? '', tls };
  const url = new URL(spec.url ?? '');
  const named = decodeURIComponent(url.pathname.slice(1));
  const host = url.hostname.replace(/^\[|\]$/g, '');
  return {
    hosts: [{ host, port: Number(url.port || 5_432) }],
    database: database ?? spec.database ?? named,
    tls,
  };
}

/** The password that a reference points to. @throws RotorError `reference.unresolved` */
export async function resolvePassword(reference: {
  file?: string | undefined;
  env?: string | undefined;
}): Promise<SecretValue> {
  if (reference.env !== undefined) {
    const value = process.env[reference.env];
    if (!value)
      throw new RotorError('reference.unresolved', {
        what: `passwordFrom: the variable ${reference.env} is not set`,
      });
    return SecretValue.of(value);
  }
  const text = await readReference('passwordFrom', reference.file ?? '');
  return SecretValue.of(text.replace(/\r?\n$/, ''));
}

/** How a host is spoken to. `trusted`: nobody in between can read what is sent. */
export interface Transport {
  readonly ssl: false | { readonly ca?: string; readonly rejectUnauthorized: boolean };
  readonly trusted: boolean;
}

/** @throws RotorError `reference.unresolved` when the CA file can't be read, or holds no certificate */
export async function transportTo({ tls }: Target, host: string): Promise<Transport> {
  const local = isThisMachine(host);
  // Who names an authority wants it asked, on this machine too; a Unix socket never speaks TLS.
  const plain = local && (tls.caFile === undefined || host.startsWith('/'));
  const mode = tls.mode ?? (plain ? 'disable' : 'verify-full');
  if (mode === 'disable') return { ssl: false, trusted: local };
  const ca = tls.caFile === undefined ? {} : { ca: await readAuthority(tls.caFile) };
  const verified = mode === 'verify-full';
  return { ssl: { ...ca, rejectUnauthorized: verified }, trusted: verified || local };
}

/** Loopback or a Unix socket's folder. Whole names only: `localhost.example` is somebody else's machine. */
export function isThisMachine(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('/') || /^127(\.\d{1,3}){3}$/.test(host);
}

/** Node passes over a file without certificates in silence, and over an empty one to the machine's authorities. */
async function readAuthority(file: string): Promise<string> {
  const text = await readReference('tls.caFile', file);
  try {
    new X509Certificate(text);
    return text;
  } catch {
    throw new RotorError('reference.unresolved', {
      what: `tls.caFile: ${file} holds no certificate in PEM form`,
    });
  }
}

async function readReference(field: string, file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error) => {
    throw new RotorError('reference.unresolved', {
      what: `${field}: ${file} can't be read (${foreignCode(error)})`,
    });
  });
}
