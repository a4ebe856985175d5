import type { ProgramSpec } from './process.ts';
import type { ProviderSpec } from './spec.ts';

/**
 * What Lambda's Python runtime does, as far as a handler sees it: loads the module, calls the handler with the event and a
 * context, and tells what it raised as the last line of its output.
 */
const RUNTIME = `
import importlib.util, json, os, sys, time
file, name, timeout_ms = sys.argv[1], sys.argv[2], int(sys.argv[3])
end = time.monotonic() + timeout_ms / 1000
class Context:
    function_name = os.path.basename(file)
    function_version = '$LATEST'
    invoked_function_arn = 'arn:aws:lambda:local:000000000000:function:' + os.path.basename(file)
    memory_limit_in_mb = '0'
    aws_request_id = ''
    log_group_name = log_stream_name = ''
    identity = client_context = None
    def get_remaining_time_in_millis(self):
        return max(0, int((end - time.monotonic()) * 1000))
def failed(error):
    sys.stdout.flush()
    print('\\n' + json.dumps({'errorType': type(error).__name__, 'errorMessage': str(error)}), flush=True)
    os._exit(1)
try:
    event = json.load(sys.stdin)
    sys.path.insert(0, os.path.dirname(file))
    spec = importlib.util.spec_from_file_location(os.path.splitext(os.path.basename(file))[0], file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    context = Context()
    context.aws_request_id = event.get('ClientRequestToken', '')
    getattr(module, name)(event, context)
except BaseException as error:
    failed(error)
`;

/** A Lambda handler in Python as a program. What is in its arguments names files and settings only. */
export function pythonProgram(
  { interpreter, file, handler, environment, memory }: NonNullable<ProviderSpec['python']>,
  timeoutMs: number,
): ProgramSpec {
  return {
    // No bytecode is written beside the function.
    run: [interpreter, '-B', '-c', RUNTIME, file, handler, String(timeoutMs)],
    environment: { PYTHONUNBUFFERED: '1', ...environment },
    memory,
  };
}
