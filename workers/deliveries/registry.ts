import type { Delivery } from './delivery.ts';
import { externalSecretDelivery } from './external-secret/delivery.ts';
import { fileDelivery } from './file/delivery.ts';
import { githubActionsSecretDelivery } from './github-actions-secret/delivery.ts';
import { gitlabVariableDelivery } from './gitlab-variable/delivery.ts';
import { httpSinkDelivery } from './http-sink/delivery.ts';
import { jenkinsCredentialDelivery } from './jenkins-credential/delivery.ts';
import { pushSecretDelivery } from './push-secret/delivery.ts';
import { type SecretDependencies, secretDelivery } from './secret/delivery.ts';
import { secretProviderClassDelivery } from './secret-provider-class/delivery.ts';

/** Every delivery there is. A new one is a folder, a line here, and a scenario in the conformance kit. */
export function deliveries(deps: SecretDependencies): readonly Delivery[] {
  return [
    fileDelivery,
    secretDelivery(deps),
    httpSinkDelivery,
    gitlabVariableDelivery,
    githubActionsSecretDelivery(),
    jenkinsCredentialDelivery,
    externalSecretDelivery(deps),
    pushSecretDelivery(deps),
    secretProviderClassDelivery(deps),
  ];
}
