// SPDX-License-Identifier: Apache-2.0

import { defineConfig } from '@playwright/test';

const sandbox = process.getuid?.() === 0 ? ['--no-sandbox'] : []; // Chromium refuses its sandbox to root

export default defineConfig({
  testDir: '.',
  outputDir: '../../build/browser/results',
  reporter: [['line'], ['json', { outputFile: '../../build/browser/results.json' }]],
  fullyParallel: true,
  forbidOnly: true,
  workers: 2,
  timeout: 60_000,
  use: {
    launchOptions: {
      executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
      args: [...sandbox, '--disable-gpu', '--disable-background-networking'],
    },
    viewport: { width: 1440, height: 900 },
  },
});
