/** Requests, errors and latency of a model's endpoints over time, beside what was released and decided. */
import { Box, Button, Heading, HStack, Table, Text } from "@chakra-ui/react";
import { useId, useState } from "react";

import type { Traffic, TrafficOfEndpoint } from "./client";
import { runUrl } from "./format";
import { Go, Heads, Problem, Waiting } from "./parts";
import { type Line, type NumberedMark, TimePlot, utc } from "./TimePlot";
import { usePoll } from "./usePoll";

// A point is five minutes long, so a new one comes every five minutes.
const EVERY_MS = 60_000;
const COLORS = ["blue.fg", "purple.fg", "teal.fg", "orange.fg"];
const DASHES = [undefined, "6 3", "2 3", "8 2 2 2"];

type PlottedMark = NumberedMark & { runId: string };

/** Return the beginnings of all points; a time of which nothing is known has no values. */
export const timesOf = (traffic: Traffic): number[] => {
  const [since, until] = [Date.parse(traffic.since), Date.parse(traffic.until)];
  const step = traffic.seconds * 1000;
  return Array.from({ length: Math.max(0, Math.ceil((until - since) / step)) }, (_, index) => since + index * step);
};

/** Return the lines of an endpoint: no requests are 0, and no line where nobody looked. */
export const linesOf = (endpoint: TrafficOfEndpoint, times: number[], step: number): { latency: Line[]; requests: Line[] } => {
  const gaps = endpoint.gaps.map((gap) => [Date.parse(gap.begin), Date.parse(gap.end)] as const);
  const unknown = (at: number) => gaps.some(([begin, end]) => begin <= at && at + step <= end);
  const several = endpoint.variants.length > 1;
  const every = endpoint.variants.map((variant, index) => ({
    byTime: new Map(variant.points.map((point) => [Date.parse(point.at), point])),
    color: COLORS[index % COLORS.length] ?? "blue.fg",
    dash: DASHES[index % DASHES.length],
    name: variant.name,
  }));
  const countAt = (at: number, count: number | undefined) => count ?? (unknown(at) ? undefined : 0);
  const requests: Line[] = every.map(({ byTime, color, dash, name }) => ({
    color,
    dash,
    name: several ? `requests, ${name}` : "requests",
    values: times.map((at) => countAt(at, byTime.get(at)?.requests)),
  }));
  const errors: Line = {
    color: "red.fg",
    dash: "2 2",
    name: "errors",
    values: times.map((at) => {
      const found = every.flatMap(({ byTime }) => byTime.get(at) ?? []);
      return countAt(at, found.length > 0 ? found.reduce((sum, one) => sum + one.errors, 0) : undefined);
    }),
  };
  const latency: Line[] = every.map(({ byTime, color, dash, name }) => ({
    color,
    dash,
    name: several ? `p99, ${name}` : "p99",
    values: times.map((at) => byTime.get(at)?.latency_p99_ms ?? undefined),
  }));
  return { latency, requests: [...requests, errors] };
};

/** The plots of a model; on a release's page its own marks are bold. */
export const TrafficPlots = ({ model, runId }: { model: string; runId?: string }) => {
  const [span, setSpan] = useState<"day" | "week">("day");
  const id = useId();
  const { document: found, problem } = usePoll<Traffic>(`models/${encodeURIComponent(model)}/traffic?span=${span}`, EVERY_MS);
  return (
    <Box as="section" aria-labelledby={id} mt={5}>
      <HStack justifyContent="space-between" mb={1} wrap="wrap">
        <Heading as="h2" id={id} size="md">
          Requests and latency
        </Heading>
        <HStack aria-label="How far back" role="group">
          {(["day", "week"] as const).map((one) => (
            <Button
              aria-pressed={span === one}
              key={one}
              onClick={() => setSpan(one)}
              size="xs"
              variant={span === one ? "solid" : "outline"}
            >
              {one === "day" ? "24 hours" : "7 days"}
            </Button>
          ))}
        </HStack>
      </HStack>
      <Problem problem={problem} />
      {found ? <Plots found={found} model={model} runId={runId} /> : problem ? undefined : <Waiting />}
    </Box>
  );
};

const Plots = ({ found, model, runId }: { found: Traffic; model: string; runId: string | undefined }) => {
  const production = found.endpoints.filter((one) => one.environment === "production");
  const others = found.endpoints.filter((one) => one.environment !== "production");
  return (
    <>
      <Text color="fg.muted" fontSize="sm" mb={2}>
        {`Times are UTC. A point is ${found.seconds / 60} minutes; its p99 is that of its slowest minute.`}
      </Text>
      {found.say ? <Text mb={2}>{found.say}</Text> : undefined}
      {production.map((one) => (
        <EndpointPlots endpoint={one} found={found} key={one.endpoint} model={model} runId={runId} />
      ))}
      {others.map((one) => (
        <details key={one.endpoint}>
          <summary>{`Requests and latency in ${one.environment}`}</summary>
          <EndpointPlots endpoint={one} found={found} model={model} runId={runId} />
        </details>
      ))}
    </>
  );
};

type EndpointProps = { endpoint: TrafficOfEndpoint; found: Traffic; model: string; runId: string | undefined };

const EndpointPlots = ({ endpoint, found, model, runId }: EndpointProps) => {
  const times = timesOf(found);
  const step = found.seconds * 1000;
  const frame = { since: Date.parse(found.since), step, until: Date.parse(found.until) };
  const lines = linesOf(endpoint, times, step);
  const marks = found.marks
    .filter((one) => one.environment === endpoint.environment)
    .map((one, index) => ({ at: Date.parse(one.at), number: index + 1, runId: one.run_id, say: one.say }));
  // What happened after the newest point stands at its end.
  const drawn = marks.map((one) => ({ ...one, at: Math.min(one.at, frame.until) }));
  const minutes = found.seconds === 3600 ? "hour" : `${found.seconds / 60} minutes`;
  return (
    <Box aria-label={`${endpoint.environment}: ${endpoint.endpoint}`} as="section" mt={2}>
      <Text fontSize="sm" overflowWrap="anywhere">{`${endpoint.environment}: ${endpoint.endpoint}`}</Text>
      {endpoint.say ? (
        <Text mb={2}>{endpoint.say}</Text>
      ) : (
        <Box display="grid" gap={3} gridTemplateColumns="repeat(auto-fit, minmax(min(24rem, 100%), 1fr))">
          <TimePlot {...frame} lines={lines.requests} marks={drawn} title={`Requests in ${minutes}`} unit="" />
          <TimePlot {...frame} lines={lines.latency} marks={drawn} title="Latency of the model, p99" unit=" ms" />
        </Box>
      )}
      {endpoint.gaps.map((gap) => (
        <Text color="fg.muted" fontSize="sm" key={gap.begin}>
          {`Not recorded: ${utc(Date.parse(gap.begin))} to ${utc(Date.parse(gap.end))} UTC, because nobody looked.`}
        </Text>
      ))}
      <Marks marks={marks} model={model} runId={runId} />
      {endpoint.say ? undefined : <Values endpoint={endpoint} />}
    </Box>
  );
};

const Marks = ({ marks, model, runId }: { marks: PlottedMark[]; model: string; runId: string | undefined }) =>
  marks.length === 0 ? undefined : (
    <Box as="ol" aria-label="Marks" fontSize="sm" listStyleType="decimal" mt={2} ps={6}>
      {marks.map((mark) => (
        <Box as="li" fontWeight={mark.runId === runId ? "bold" : undefined} key={mark.number}>
          {`${utc(mark.at)} UTC: ${mark.say}`}
          {mark.runId === runId ? undefined : (
            <>
              {", "}
              <Go to={runUrl(model, mark.runId)}>the release</Go>
            </>
          )}
        </Box>
      ))}
    </Box>
  );

const HEADS = ["time (UTC)", "variant", "requests", "errors", "p99"];

/** Every point, the newest first; it is drawn when somebody opens it. */
const Values = ({ endpoint }: { endpoint: TrafficOfEndpoint }) => {
  const [open, setOpen] = useState(false);
  const rows = endpoint.variants
    .flatMap((variant) => variant.points.map((point) => ({ ...point, variant: variant.name })))
    .sort((one, other) => other.at.localeCompare(one.at) || one.variant.localeCompare(other.variant));
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{`Requests and latency of ${endpoint.endpoint} as a table`}</summary>
      {open ? (
        <Box aria-label={`Values of ${endpoint.endpoint}`} maxH="30rem" overflow="auto" role="region" tabIndex={0}>
          <Text fontSize="sm">A time that is not in the table had no requests, or was not recorded.</Text>
          <Table.Root size="sm">
            <Heads of={HEADS} />
            <Table.Body>
              {rows.map((row) => (
                <Table.Row key={`${row.at} ${row.variant}`}>
                  <Table.ColumnHeader fontWeight="normal" scope="row">
                    {utc(Date.parse(row.at))}
                  </Table.ColumnHeader>
                  <Table.Cell>{row.variant}</Table.Cell>
                  <Table.Cell>{row.requests}</Table.Cell>
                  <Table.Cell>{row.errors}</Table.Cell>
                  <Table.Cell>{row.latency_p99_ms === null ? "–" : `${row.latency_p99_ms} ms`}</Table.Cell>
                </Table.Row>
              ))}
            </Table.Body>
          </Table.Root>
        </Box>
      ) : undefined}
    </details>
  );
};
