/** One setting: how it is named, what it means, and what it is when nobody says. docs/configuration.md lists the same. */
export interface Setting {
  /** Environment variable. */
  readonly variable: string;
  /** Option of the command line; secrets have none, since command lines are seen by every process. */
  readonly flag?: string;
  /** Holds a secret: may also be read from the file named by `<variable>_FILE`, and is never repeated. */
  readonly secret: boolean;
  readonly default?: string;
  readonly meaning: string;
}

export const SETTINGS = {
  databaseUrl: {
    variable: 'ROTOR_DATABASE_URL',
    secret: true,
    meaning: 'PostgreSQL of the ledger, `postgres://...`. Without it Rotor runs a PostgreSQL of its own.',
  },
  queueUrl: {
    variable: 'ROTOR_QUEUE_URL',
    secret: true,
    meaning:
      'Queue that wakes workers: `redis://`, `redis-sentinel://`, `redis-cluster://` (with TLS `rediss...`) or `postgres://`; see below. The ledger’s database when not set.',
  },
  keyFile: {
    variable: 'ROTOR_KEY_FILE',
    flag: 'key-file',
    secret: false,
    meaning: 'File with the key-encryption key. Required in production; made in ROTOR_HOME otherwise.',
  },
  listen: {
    variable: 'ROTOR_LISTEN',
    flag: 'listen',
    secret: false,
    default: '127.0.0.1:8420',
    meaning: 'Address and port of the HTTP API, `[::1]:8420` for IPv6. Port 0 takes a free one.',
  },
  healthListen: {
    variable: 'ROTOR_HEALTH_LISTEN',
    flag: 'health-listen',
    secret: false,
    meaning:
      'Address and port where a worker serves `/healthz`, `/readyz` and `/metrics`; nowhere when not set.',
  },
  home: {
    variable: 'ROTOR_HOME',
    flag: 'home',
    secret: false,
    default: './.rotor',
    meaning: 'Folder of what the embedded mode keeps: database, key file, local store.',
  },
  mode: {
    variable: 'ROTOR_MODE',
    flag: 'mode',
    secret: false,
    meaning: '`embedded` or `production`. Production when ROTOR_DATABASE_URL is set, else embedded.',
  },
  migrate: {
    variable: 'ROTOR_MIGRATE',
    flag: 'migrate',
    secret: false,
    default: 'auto',
    meaning:
      '`auto` brings the schema of the ledger up to date at every start; `check` only looks, for users of the database who may not: `rotor migrate` does it.',
  },
  logLevel: {
    variable: 'ROTOR_LOG_LEVEL',
    flag: 'log-level',
    secret: false,
    default: 'info',
    meaning: '`trace`, `debug`, `info`, `warn`, `error`, `fatal` or `silent`.',
  },
  token: {
    variable: 'ROTOR_TOKEN',
    secret: true,
    meaning: 'Token that the command line shows to the API.',
  },
  url: {
    variable: 'ROTOR_URL',
    flag: 'url',
    secret: false,
    default: 'http://127.0.0.1:8420',
    meaning: 'Where the command line finds the API.',
  },
  commandsFile: {
    variable: 'ROTOR_COMMANDS_FILE',
    flag: 'commands-file',
    secret: false,
    meaning: 'Allow-list of the commands that rollouts and rotation functions may run; none without it.',
  },
  functionsListen: {
    variable: 'ROTOR_FUNCTIONS_LISTEN',
    flag: 'functions-listen',
    secret: false,
    default: '127.0.0.1:0',
    meaning:
      'Where workers serve the Secrets Manager API to rotation functions of others, once there is one. Port 0 takes a free one.',
  },
  functionsUrl: {
    variable: 'ROTOR_FUNCTIONS_URL',
    flag: 'functions-url',
    secret: false,
    meaning:
      'Address by which such functions reach that API; where it listens, when not set. Required when that is every address.',
  },
  watchNamespaces: {
    variable: 'ROTOR_WATCH_NAMESPACES',
    secret: false,
    meaning:
      'Namespaces whose custom resources are followed, separated by commas; `*`: all of them; none when not set.',
  },
  hooksFile: {
    variable: 'ROTOR_HOOKS_FILE',
    flag: 'hooks-file',
    secret: false,
    meaning:
      'Senders that may report (`/v1/hooks/<name>`) and how each proves itself, and queues that are listened to; none without it.',
  },
  leaseMs: {
    variable: 'ROTOR_LEASE',
    flag: 'lease',
    secret: false,
    default: '30s',
    meaning: 'How long a worker owns a rotation without renewing; 2s to 10m.',
  },
  concurrency: {
    variable: 'ROTOR_CONCURRENCY',
    flag: 'concurrency',
    secret: false,
    default: '10',
    meaning: 'Rotations that one worker runs at once; 1 to 1000.',
  },
  journalRetentionMs: {
    variable: 'ROTOR_JOURNAL_RETENTION',
    flag: 'journal-retention',
    secret: false,
    default: '90d',
    meaning: 'How long the journals of ended rotations are kept; at least 1d.',
  },
  readsRetentionMs: {
    variable: 'ROTOR_READS_RETENTION',
    flag: 'reads-retention',
    secret: false,
    default: '90d',
    meaning: 'How long reads of Secrets that clusters told of are kept; at least 1d.',
  },
  sweepIntervalMs: {
    variable: 'ROTOR_SWEEP_INTERVAL',
    flag: 'sweep-interval',
    secret: false,
    default: '500ms',
    meaning: 'Time between looks for due policies and lost jobs; 50ms to 5m.',
  },
  driftIntervalMs: {
    variable: 'ROTOR_DRIFT_INTERVAL',
    flag: 'drift-interval',
    secret: false,
    default: '5m',
    meaning: 'Time between two looks whether what a policy delivered is still there; 5s to 1d.',
  },
} as const satisfies Record<string, Setting>;

export type SettingName = keyof typeof SETTINGS;
