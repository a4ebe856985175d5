/**
 * What the sandbox's node runs for the chart's image: the program that is the image's entrypoint, told where the node has
 * put what a container finds at fixed paths and ports. Nothing else is different from a container.
 */
const { env } = process;
const root = env.ROTOR_SANDBOX_ROOT ?? '';
for (const [name, value] of Object.entries(env)) {
  if (/^\/(etc|var\/lib)\/rotor(\/|$)/.test(value ?? '')) env[name] = `${root}${value}`;
}
for (const name of ['ROTOR_LISTEN', 'ROTOR_HEALTH_LISTEN', 'ROTOR_FUNCTIONS_LISTEN']) {
  const port = env[name]?.split(':').at(-1);
  if (port) env[name] = `127.0.0.1:${env[`ROTOR_SANDBOX_PORT_${port}`]}`;
}
await import('../../orchestrator/cli/main.ts');
