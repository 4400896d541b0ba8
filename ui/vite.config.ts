import { resolve } from "node:path";
import { defineConfig } from "vitest/config";

// Airflow's UI has these as globals, so that a page shares its React, its router, and its theme.
// https://github.com/apache/airflow/tree/main/dev/react-plugin-tools
const HOST_GLOBALS = {
  "@chakra-ui/react": "ChakraUI",
  react: "React",
  "react-dom": "ReactDOM",
  "react-router-dom": "ReactRouterDOM",
  "react/jsx-runtime": "ReactJSXRuntime",
};

export default defineConfig({
  build: {
    emptyOutDir: false,
    lib: { entry: resolve("src", "main.tsx"), fileName: () => "board.js", formats: ["iife"], name: "SlipwayBoard" },
    outDir: "../plugins/slipway/board/static",
    reportCompressedSize: false,
    rollupOptions: { external: Object.keys(HOST_GLOBALS), output: { globals: HOST_GLOBALS } },
  },
  esbuild: { jsx: "automatic" },
  test: {
    environment: "happy-dom",
    include: ["tests/**/*.test.ts", "tests/**/*.test.tsx"],
    restoreMocks: true,
    setupFiles: "tests/setup.ts",
    // Longer than the waiting in tests/setup.ts, so that the error says what was not found.
    testTimeout: 30_000,
  },
});
