/**
 * How the saga answers an error. `retryable`: nothing happened, try again later. `terminal`: nothing
 * happened and trying again won't help. `ambiguous`: it may have happened; probe before anything else.
 */
export type ErrorKind = 'retryable' | 'terminal' | 'ambiguous';

/** Stable error codes: how the saga answers them and what the reader does next. docs/errors.md lists the same. */
export const ERROR_CODES = {
  'config.invalid': ['terminal', 'Correct the named setting and start again.'],
  'manifest.invalid': ['terminal', 'Correct the named field; `rotor validate -f` checks without applying.'],
  'reference.unresolved': [
    'terminal',
    'Make sure that the referenced file or variable exists and can be read by this process.',
  ],
  'credential.malformed': [
    'terminal',
    'Write the stored document as one flat JSON object with the fields that the rotator names.',
  ],
  'random.impossible': ['terminal', 'Allow more characters, or require fewer classes, or a longer value.'],

  'ledger.unavailable': ['retryable', 'Check that the database at ROTOR_DATABASE_URL accepts connections.'],
  'ledger.fenced': ['terminal', 'Nothing to do: another worker has taken over this rotation.'],
  'ledger.schema-older': [
    'retryable',
    'Run `rotor migrate` of the version that is installed, as a user who may change the schema.',
  ],
  'ledger.schema-newer': ['terminal', 'Upgrade this process: a newer Rotor has migrated the ledger.'],
  'ledger.not-found': [
    'terminal',
    'Check the name; `rotor get policies` (or rotations, providers, stores, incidents) lists what there is.',
  ],
  'ledger.conflict': [
    'terminal',
    'Wait until the running rotation has ended, or watch it with `rotor watch`.',
  ],
  'audit.broken': [
    'terminal',
    'Compare the named row with the last anchor and with a backup: somebody changed the trail.',
  ],

  'lease.expired': ['retryable', 'Nothing to do: the rotation is taken up again by the next free worker.'],
  'call.timeout': [
    'ambiguous',
    'Nothing to do: Rotor probes what happened. If it repeats, look at the network between the worker and the named host.',
  ],

  'provider.unreachable': [
    'retryable',
    'Check host, port, DNS and firewall between the worker and the provider.',
  ],
  'provider.connection-lost': ['ambiguous', 'Nothing to do: Rotor probes what happened.'],
  'provider.throttled': [
    'retryable',
    'Nothing to do: Rotor waits. Lower `maxConcurrent` of the provider if it repeats.',
  ],
  'provider.refused-admin': ['terminal', 'Check the admin user and the secret that its reference points to.'],
  'provider.permission-denied': ['terminal', 'Grant the admin role what the message names.'],
  'provider.refused-credential': [
    'terminal',
    'The stored credential does not log in: store the right one, or rotate by an incident.',
  ],
  'provider.rejects-generated': [
    'terminal',
    'Adapt the password rules in the policy to those of the provider.',
  ],
  'provider.slot-occupied': [
    'terminal',
    'Free the second slot: end the sessions or delete the key that the message names.',
  ],
  'provider.tls': ['terminal', 'Check `tls.mode` and `tls.caFile` of the provider.'],
  'provider.unsupported': ['terminal', 'Use a setup that docs/postgres.md names as supported.'],
  'provider.proof-failed': [
    'terminal',
    'Look at the provider: the old credential still works or the new one does not.',
  ],
  'provider.sessions-remain': [
    'retryable',
    'Grant the admin role pg_signal_backend, or end the named sessions by hand.',
  ],

  'store.unavailable': ['retryable', 'Check that the store can be reached and written.'],
  'store.full': ['retryable', 'Free disk space at the named path.'],
  'store.conflict': [
    'terminal',
    'Somebody else changed the stages of this path: compare `rotor describe` with the store.',
  ],
  'store.not-found': ['terminal', 'Check the store path; `rotor describe policy` shows what Rotor knows.'],
  'store.throttled': ['retryable', 'Nothing to do: Rotor waits as long as the store asks.'],
  'store.refused': ['terminal', 'Check the credentials with which the workers log in to the store.'],
  'store.permission-denied': ['terminal', 'Grant the identity of the workers what the message names.'],
  'store.too-large': ['terminal', 'Shorten the document, or use a store that takes longer ones.'],
  'store.unsupported': ['terminal', "Use a setup that the store's page in docs/ names as supported."],
  'store.fenced': ['terminal', 'Nothing to do: a later worker has written already.'],
  'store.sealed': [
    'terminal',
    'ROTOR_KEY_FILE is not the key that sealed this version: restore the right key file.',
  ],

  'delivery.failed': ['retryable', 'Check that the target directory exists and is writable for the worker.'],
  'delivery.drifted': ['retryable', 'Somebody else changed the delivered file; Rotor writes it again.'],
  'delivery.refused': ['terminal', 'Put a valid token into the file that the delivery names.'],
  'delivery.permission-denied': ['terminal', 'Grant the token of the delivery what the message names.'],
  'delivery.not-found': [
    'terminal',
    'Check the names in the policy, and that the token of the delivery may see them.',
  ],
  'delivery.invalid': ['terminal', 'Correct what the message names in `deliver` of the policy.'],
  'delivery.throttled': ['retryable', 'Nothing to do: Rotor waits as long as the target asks.'],
  'delivery.not-owned': [
    'terminal',
    'Set `adopt: true` if Rotor shall take it over, or deliver under another name.',
  ],
  'cluster.unavailable': [
    'retryable',
    'Check that the workers reach the API server that the kubeconfig names.',
  ],
  'cluster.refused': ['terminal', 'Correct the credentials in the kubeconfig of the workers.'],
  'cluster.forbidden': ['terminal', 'Grant the ServiceAccount of the workers what the message names.'],
  'cluster.not-found': ['terminal', 'Check name, namespace and `context` in the policy.'],
  'cluster.conflict': ['retryable', 'Nothing to do: Rotor looks again and repeats.'],
  'cluster.invalid': ['terminal', 'Correct the named field in the policy or in the object.'],
  'cluster.throttled': ['retryable', 'Nothing to do: Rotor waits as long as the API server asks.'],
  'cluster.not-owned': [
    'terminal',
    'Set `adopt: true` if Rotor shall take the object over, or deliver under another name.',
  ],
  'rollout.reload-failed': ['retryable', 'Look at the log of the named consumer.'],
  'rollout.unhealthy': [
    'terminal',
    'Look at the log of the named consumer: it does not work with the new credential.',
  ],
  'rollout.command-not-allowed': ['terminal', 'Add the command to the allow-list in ROTOR_COMMANDS_FILE.'],

  'settle.still-used': [
    'terminal',
    'Find who still uses the old credential (the message names the sessions) and make them reload.',
  ],
  'rotation.deadline': [
    'terminal',
    'Look at the last error of the rotation; raise `deadline` if the work needs longer.',
  ],
  'rotation.cancelled': ['terminal', 'Nothing to do: somebody cancelled it.'],
  'rotation.needs-human': ['terminal', 'Follow the message, then `rotor resume rotation/<id>`.'],
  'rotation.leaked-rollback': ['terminal', 'Nothing to do: Rotor goes forward to a fresh credential.'],

  'api.unauthorized': ['terminal', 'Pass a valid token in ROTOR_TOKEN or ROTOR_TOKEN_FILE.'],
  'api.forbidden': ['terminal', 'Use a token with the role that the message names.'],
  'api.invalid': ['terminal', 'Correct the named field.'],
  'api.rate-limited': ['retryable', 'Wait as long as Retry-After says.'],
  'api.unreachable': ['retryable', 'Start Rotor with `rotor up`, or set ROTOR_URL.'],
  'hook.unauthenticated': [
    'terminal',
    'Check the secret on both sides; `rotor get incidents` has the reason that the sender is not told.',
  ],
  'hook.malformed': ['terminal', 'Send what docs/incidents.md describes for this kind of source.'],
  'hook.replayed': ['terminal', 'Nothing to do: this delivery was taken before.'],
  'function.invalid-event': [
    'terminal',
    'Send SecretId, ClientRequestToken and Step, as AWS Secrets Manager does to a rotation function.',
  ],
  'function.not-rotatable': [
    'terminal',
    'Start the rotation with `aws secretsmanager rotate-secret`, which stages a version as AWSPENDING and calls the steps.',
  ],
  'function.failed': [
    'ambiguous',
    'Look at the log of the named function. Rotor probes what it did, and repeats the step with the same version.',
  ],
  'internal.bug': ['terminal', 'This is a bug in Rotor: please report it with the rotation id.'],
} as const satisfies Record<string, readonly [ErrorKind, string]>;

export type ErrorCode = keyof typeof ERROR_CODES;
