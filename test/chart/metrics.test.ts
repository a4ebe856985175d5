import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { CHART, render, skippedWithoutHelm, the } from './helm.ts';

const PROJECT = join(CHART, '..', '..');
const skipped = skippedWithoutHelm('what alerts and dashboard ask for');
const source = readFileSync(join(PROJECT, 'core', 'telemetry.ts'), 'utf8');

/** What Prometheus puts to everything it reads by a ServiceMonitor. */
const TARGET = ['namespace', 'service', 'pod', 'job', 'instance', 'container', 'endpoint', 'component'];
/** Attributes that each metric is recorded with, where it is recorded. */
const RECORDED: Readonly<Record<string, readonly string[]>> = {
  rotor_rotations_total: ['state'],
  rotor_rotation_duration_seconds: ['state'],
  rotor_step_duration_seconds: ['step', 'direction'],
  rotor_delivery_drift_total: ['result'],
  rotor_queue_messages_total: ['queue', 'result'],
  rotor_queue_failures_total: ['queue', 'code'],
  rotor_incident_time_to_contain_seconds: ['mode'],
  rotor_incident_time_to_revoke_seconds: ['mode'],
};

function labelsOf(metric: string): readonly string[] {
  const bucket = metric.endsWith('_bucket') ? ['le'] : [];
  return [...TARGET, ...(RECORDED[metric.replace(/_(bucket|sum|count)$/, '')] ?? []), ...bucket];
}

/** Labels that an expression selects or groups by. */
function labelsIn(expression: string): readonly string[] {
  const selected = [...expression.matchAll(/(\w+)\s*(?:=~|!~|!=|=)\s*"/g)].map(([, label = '']) => label);
  const grouped = [...expression.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list = '']) =>
    list.split(/,\s*/),
  );
  return [...selected, ...grouped];
}

test('the labels that may be asked for are those that the code records', () => {
  const instruments = [...source.matchAll(/export const (\w+) = lazily\([^']*'(rotor_\w+)'/g)];
  const recorded = new Map<string, readonly string[]>();
  for (const folder of ['orchestrator', 'workers']) {
    for (const file of readdirSync(join(PROJECT, folder), { recursive: true, encoding: 'utf8' })) {
      if (!file.endsWith('.ts') || file.endsWith('.test.ts')) continue;
      const text = readFileSync(join(PROJECT, folder, file), 'utf8');
      for (const [, instrument = '', metric = ''] of instruments) {
        const line = new RegExp(`\\b${instrument}\\(\\)\\.(?:add|record)\\(.*`).exec(text)?.[0];
        if (line === undefined) continue;
        const attributes = /\{([^}]*)\}/.exec(line)?.[1] ?? '';
        recorded.set(
          metric,
          attributes.split(',').flatMap((each) => /^\s*(\w+)/.exec(each)?.[1] ?? []),
        );
      }
    }
  }
  expect(instruments.length).toBeGreaterThan(8);
  expect(recorded.size).toBe(instruments.length);
  for (const [metric, named] of recorded) expect(named, metric).toEqual(RECORDED[metric] ?? []);
});

test.skipIf(skipped)(
  'alerts and dashboard ask for metrics that exist, by labels that they have',
  async () => {
    const known = new Set([...source.matchAll(/'(rotor_[a-z_]+)'/g)].map(([, name]) => name));
    expect(known.size).toBeGreaterThan(3);
    const objects = await render({ everything: true });
    const rules = the(objects, 'PrometheusRule').spec.groups[0].rules as { alert: string; expr: string }[];
    const board = JSON.parse(the(objects, 'ConfigMap', 'dashboard').data['rotor.json']);
    const asked = [
      ...rules.map(({ expr }) => expr),
      ...board.panels.flatMap((panel: { targets: { expr: string }[] }) =>
        panel.targets.map(({ expr }) => expr),
      ),
    ];
    const page = readFileSync(join(PROJECT, 'docs', 'helm.md'), 'utf8');
    const documented = [...page.matchAll(/^\| `Rotor[^|]*/gm)].flatMap(
      ([cell]) => cell.match(/Rotor\w+/g) ?? [],
    );
    expect(rules.map(({ alert }) => alert).sort()).toEqual(documented.sort());
    for (const expression of asked) {
      const named = [...expression.matchAll(/\b(rotor_[a-z_]+|up)\b/g)].map(([name]) => name);
      expect(named.length, expression).toBeGreaterThan(0);
      for (const name of named)
        expect(name === 'up' || known.has(name.replace(/_(bucket|sum|count)$/, '')), name).toBe(true);
      for (const name of named)
        for (const label of labelsIn(expression)) expect(labelsOf(name), name).toContain(label);
      for (const [open, close] of ['()', '{}', '[]'])
        expect(expression.split(open ?? '').length, expression).toBe(expression.split(close ?? '').length);
    }
  },
);
