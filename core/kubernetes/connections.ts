import type { KubeConfig, RequestContext } from '@kubernetes/client-node';

/** Certificates in files may be renewed at any time; a pool that knows the old ones is given up after that long. */
const KEPT_MS = 60_000;

/**
 * Keeps connections to the API server open: the client makes a pool, and with it a TLS connection, for every request. Not
 * where a program hands out the credentials (`exec`), since it may hand out other certificates the next time.
 * @returns gives a request that is authenticated the pool of those before
 */
export function keptConnections(config: KubeConfig): (request: RequestContext) => void {
  let kept: ReturnType<RequestContext['getDispatcher']>;
  let until = 0;
  const mayKeep = config.getCurrentUser()?.exec === undefined;
  return (request) => {
    const now = performance.now();
    if (!mayKeep) return;
    if (kept === undefined || now >= until) {
      kept = request.getDispatcher();
      until = now + KEPT_MS;
    }
    if (kept) request.setDispatcher(kept);
  };
}
