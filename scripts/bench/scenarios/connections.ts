/** Scenario: clients connect, register, and leave again. */

import type { Scenario } from "./scenario.ts";

const AT_ONCE = 32;

export const connections: Scenario = {
  name: "connections",
  what: `connect, register and close, ${AT_ONCE} at once`,
  metrics: [{ name: "cpu", unit: "µs", label: "CPU for each connection" }],
  prepare(driver, server) {
    const ids = Array.from({ length: AT_ONCE }, (_, index) => `visitor_${1000 + index}`);
    return {
      run(durationMs) {
        let made = 0;
        server.takeCpuNs();
        const startedAt = performance.now();
        while (performance.now() < startedAt + durationMs) {
          driver.closeAll(driver.openAll(server.port, ids));
          made += ids.length;
        }
        const wallNs = 1e6 * (performance.now() - startedAt);
        const cpuNs = server.takeCpuNs();
        return { cpu: cpuNs / 1000 / made, busy: cpuNs / wallNs };
      },
      end() {},
    };
  },
};
