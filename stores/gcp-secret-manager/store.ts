import type { SecretManagerServiceClient } from '@google-cloud/secret-manager';
import { clientsOf } from '../../core/clients.ts';
import { RecordedSession } from '../recorded/session.ts';
import type { Store } from '../store.ts';
import { withoutCredentials } from './errors.ts';
import { Names } from './names.ts';
import { SecretManagerShelf } from './shelf.ts';
import { MAX_BYTES, type SecretManagerSpec, secretManagerSpec } from './spec.ts';

type Place = Pick<SecretManagerSpec, 'project' | 'location' | 'endpoint'>;

/** Versions in secrets of Google Cloud Secret Manager. */
export function gcpSecretManagerStore(): Store<SecretManagerSpec> {
  const clients = clientsOf<Place, SecretManagerServiceClient>(connect);
  return {
    kind: 'gcpSecretManager',
    spec: secretManagerSpec,
    limits: { maxBytes: MAX_BYTES },
    eventAddress: (spec, path) => ({
      name: new Names(spec, path).id,
      within: { project: spec.project, ...(spec.location ? { location: spec.location } : {}) },
    }),
    open: (spec) => {
      const { project, location, endpoint } = spec;
      const place = { project, ...(location ? { location } : {}), ...(endpoint ? { endpoint } : {}) };
      return new RecordedSession(new SecretManagerShelf(spec, () => clients(place)));
    },
  };
}

/** Loaded here, so that only who uses this store pays for the SDK. Credentials are the application's default ones. */
async function connect({ project, location, endpoint }: Place): Promise<SecretManagerServiceClient> {
  const { SecretManagerServiceClient: Client } = await import('@google-cloud/secret-manager');
  const url = new URL(
    endpoint ?? `https://secretmanager.${location ? `${location}.rep.` : ''}googleapis.com`,
  );
  const own = endpoint !== undefined || location !== undefined;
  const client = new Client({
    // REST: no second HTTP stack, and proxies of the environment are respected.
    fallback: true,
    // Else the SDK asks another service for it.
    projectId: project,
    ...(own ? { apiEndpoint: url.hostname } : {}),
    ...(url.port ? { port: Number(url.port) } : {}),
    ...(url.protocol === 'http:' ? { protocol: 'http' } : {}),
  });
  try {
    // Later the SDK would leave a failure to nobody, which ends the process.
    await client.initialize();
    return client;
  } catch (error) {
    throw withoutCredentials(error);
  }
}
