import type {
  Configuration,
  KubeConfig,
  KubernetesObjectApi,
  SecurityAuthentication,
} from '@kubernetes/client-node';
import { foreignCode, RotorError } from '../errors.ts';
import { type Collections, collectionsOf } from './collections.ts';
import { keptConnections } from './connections.ts';
import { loadDefault } from './kubeconfig.ts';

/** A context of the kubeconfig as it was when it was read. */
export interface Connection {
  readonly context: string;
  readonly api: KubernetesObjectApi;
  readonly configurationWith: (signal: AbortSignal) => Configuration;
  readonly collections: Collections;
}

/**
 * @param context the current one when absent
 * @throws RotorError `config.invalid` when there is no kubeconfig, or no such context in it
 */
export async function connect(
  context: string | undefined,
  load: (config: KubeConfig) => void = loadDefault,
): Promise<Connection> {
  const client = await import('@kubernetes/client-node');
  const config = new client.KubeConfig();
  try {
    load(config);
  } catch (error) {
    throw new RotorError('config.invalid', {
      what: 'the kubeconfig cannot be read',
      hint: 'Correct the file that KUBECONFIG names.',
      cause: error,
    });
  }
  if (context !== undefined) {
    if (!config.getContextObject(context)) {
      const known = config.getContexts().map(({ name }) => name);
      throw new RotorError('config.invalid', {
        what: `the kubeconfig has no context "${context}"; it has ${known.join(', ') || 'none'}`,
        hint: 'Correct `context` in the manifest, or add it to the kubeconfig of the workers.',
      });
    }
    config.setCurrentContext(context);
  }
  const server = config.getCurrentCluster()?.server;
  if (!server) {
    throw new RotorError('config.invalid', {
      what: 'there is no cluster: no KUBECONFIG, no ~/.kube/config, no ServiceAccount of a pod',
      hint: 'Set KUBECONFIG for the workers, or run them in the cluster.',
    });
  }
  const baseServer = new client.ServerConfiguration(server, {});
  const authentication = authenticating(config);
  const keep = keptConnections(config);
  const configuration = client.createConfiguration({
    baseServer,
    authMethods: { default: authentication },
    promiseMiddleware: [
      {
        pre: async (request) => {
          keep(request);
          return request;
        },
        post: async (response) => response,
      },
    ],
  });
  return {
    context: config.getCurrentContext(),
    api: new client.KubernetesObjectApi(configuration),
    // The client takes nothing of a request's own configuration but the server: what ends the request comes in by that.
    configurationWith: (signal) => ({
      ...configuration,
      baseServer: {
        makeRequestContext: (endpoint, method) => {
          const request = baseServer.makeRequestContext(endpoint, method);
          request.setSignal(signal);
          return request;
        },
      },
    }),
    collections: collectionsOf(config, client, async (request) => {
      await authentication.applySecurityAuthentication(request);
      keep(request);
    }),
  };
}

/** Tells what fails before anything is sent: a file that is gone, a program that hands out credentials and fails. */
function authenticating(config: KubeConfig): SecurityAuthentication {
  return {
    getName: () => config.getName(),
    applySecurityAuthentication: async (request) => {
      try {
        await config.applySecurityAuthentication(request);
      } catch (error) {
        throw withoutCredentials(config, error);
      }
    },
  };
}

/** A program's own words may hold what it was to hand out: they are not told. */
function withoutCredentials(config: KubeConfig, error: unknown): RotorError {
  const at = `cluster ${config.getCurrentContext()}`;
  const user = config.getCurrentUser();
  const code = foreignCode(error);
  const why = code === undefined ? '' : ` (${code})`;
  if (error instanceof Error && error.message.startsWith('HTTP protocol is not allowed'))
    return new RotorError('config.invalid', {
      what: `${at}: its server has an http address`,
      hint: 'Name an https address in the kubeconfig, or say `insecure-skip-tls-verify: true` there.',
    });
  const program = user?.exec?.command;
  return new RotorError('cluster.refused', {
    what: program
      ? `${at}: the program "${program}" hands out no credentials for user "${user?.name}"${why}`
      : `${at}: what the kubeconfig names for user "${user?.name}" cannot be read${why}`,
    hint: program
      ? 'Run it as the user of the workers: it must be on their PATH, end with 0 and print an ExecCredential.'
      : 'Look at the files of token, certificate and key, and whether the workers may read them.',
    kind: 'retryable',
    cause: error,
  });
}
