// The live stream: server-sent events with a watchdog. A browser reconnects by itself after most breaks, but not
// after an error status and not when the line falls silent; we do.

const SILENT_MS = 6000; // the gateway speaks each second
const RETRY_MS = 3000;

/**
 * Opens the stream and keeps it open for ever.
 * on: {live(data), status(data), broken()}; broken is called once for each break.
 */
export function openStream(url, on) {
  let source = null;
  let timer = null;
  let broken = false;

  function connect() {
    source = new EventSource(url);
    source.addEventListener("live", (event) => heard(on.live, event));
    source.addEventListener("status", (event) => heard(on.status, event));
    source.addEventListener("error", () => lost());
    expect(SILENT_MS);
  }

  function heard(handler, event) {
    broken = false;
    expect(SILENT_MS);
    handler(JSON.parse(event.data));
  }

  function lost() {
    source.close();
    if (!broken) on.broken();
    broken = true;
    clearTimeout(timer);
    timer = setTimeout(connect, RETRY_MS);
  }

  function expect(within_ms) {
    clearTimeout(timer);
    timer = setTimeout(lost, within_ms);
  }

  connect();
}
