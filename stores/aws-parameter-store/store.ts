import type { SSM } from '@aws-sdk/client-ssm';
import { awsConnection } from '../../core/aws/connection.ts';
import { clientsOf } from '../../core/clients.ts';
import { awsEventAddress } from '../aws/event-address.ts';
import type { Store } from '../store.ts';
import { ParameterStoreSession } from './session.ts';
import { MAX_BYTES, type ParameterStoreSpec, parameterStoreSpec } from './spec.ts';

/** Versions in SecureString parameters of AWS Systems Manager, with labels for their stages. */
export function awsParameterStore(): Store<ParameterStoreSpec> {
  const clients = clientsOf<ParameterStoreSpec, SSM>(async (spec) => {
    // Loaded here, so that only who uses this store pays for the SDK.
    const { SSM: Client } = await import('@aws-sdk/client-ssm');
    return new Client(await awsConnection(spec));
  });
  return {
    kind: 'awsParameterStore',
    spec: parameterStoreSpec,
    limits: { maxBytes: MAX_BYTES, fences: false, destroys: false },
    eventAddress: (spec, path) => awsEventAddress(spec, `${spec.prefix}${path}`),
    open: (spec) => new ParameterStoreSession(spec, () => clients(spec)),
  };
}
