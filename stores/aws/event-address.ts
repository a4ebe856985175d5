import type { AwsSpec } from '../../core/aws/spec.ts';
import type { EventAddress } from '../store.ts';

/** How events of AWS speak of `name`: region and account as far as the spec says them. */
export function awsEventAddress({ region, roleArn }: AwsSpec, name: string): EventAddress {
  const account = roleArn?.split(':')[4];
  return {
    name,
    within: { ...(region ? { region } : {}), ...(account ? { account } : {}) },
    ...(roleArn ? { actsAs: roleArn } : {}),
  };
}
