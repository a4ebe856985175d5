import type { HookSource } from './source.ts';
import { alertmanager } from './sources/alertmanager.ts';
import { cloudEvents } from './sources/cloudevents.ts';
import { eventGrid } from './sources/event-grid.ts';
import { falco } from './sources/falco.ts';
import { generic } from './sources/generic.ts';
import { gitguardian } from './sources/gitguardian.ts';
import { githubAlert } from './sources/github-alert.ts';
import { githubPartner } from './sources/github-partner.ts';
import { kubernetesAudit } from './sources/kubernetes-audit.ts';
import { pagerduty } from './sources/pagerduty.ts';
import { pubsub } from './sources/pubsub.ts';
import { sns } from './sources/sns.ts';
import { standardWebhooks } from './sources/standard-webhooks.ts';

/** Every source there is. A new one is a file, a line here, and an entry in the kit of forged requests. */
export const hookSources: readonly HookSource[] = [
  githubPartner,
  githubAlert,
  gitguardian,
  pagerduty,
  sns,
  falco,
  alertmanager,
  standardWebhooks,
  cloudEvents,
  eventGrid,
  pubsub,
  kubernetesAudit,
  generic,
] as readonly HookSource[];
