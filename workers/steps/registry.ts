import type { Step } from '../saga/context.ts';
import type { StepName } from '../saga/steps.ts';
import { deliver } from './deliver.ts';
import { generate } from './generate.ts';
import { install } from './install.ts';
import { plan } from './plan.ts';
import { prove } from './prove.ts';
import { publish } from './publish.ts';
import { revoke } from './revoke.ts';
import { rollout } from './rollout.ts';
import { settle } from './settle.ts';
import { verify } from './verify.ts';

export const steps: Readonly<Record<StepName, Step>> = {
  plan,
  generate,
  install,
  verify,
  publish,
  deliver,
  rollout,
  settle,
  revoke,
  prove,
};
