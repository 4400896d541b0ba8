import { Box, Stack, Table, Text } from "@chakra-ui/react";

import type { Release, Task } from "./client";
import { airflowUrl, exactly, moment } from "./format";
import { Go, Heads, Wide } from "./parts";
import { useNarrow } from "./useNarrow";

/** A part of a task's time, in milliseconds since the epoch; of a task whose events are gone, what it did is not known. */
export type Bar = { ended: number; goesOn: boolean; kind: "not known" | "wait" | "work"; started: number };

/** Cut the time of a task into its parts. A skipped one has none: Airflow gives it a time, too, but it did not run. */
export const bars = (task: Task, now: string): Bar[] => {
  if (task.tries === 0 || !task.started) {
    return [];
  }
  const whole = { ended: task.ended, kind: "not known" as const, started: task.started };
  return (task.parts.length > 0 ? task.parts : [whole]).map((part) => ({
    ended: Date.parse(part.ended ?? now),
    goesOn: !part.ended,
    kind: part.kind,
    started: Date.parse(part.started),
  }));
};

const seconds = (of: Bar[]) => of.reduce((sum, bar) => sum + Math.max(0, bar.ended - bar.started), 0) / 1000;

/** Write how long a task waited: while it did, no process worked on it. */
const waited = (of: Bar[]): string => {
  if (of.some((bar) => bar.kind === "not known")) {
    return "not known";
  }
  const waits = of.filter((bar) => bar.kind === "wait");
  return waits.length > 0 ? exactly(seconds(waits)) : "–";
};

/** Write AWS's part of a task's time; it cannot be more than the whole, though the clocks differ. */
const awsShare = (task: Task, took: number): string => {
  if (task.aws_seconds === null || took <= 0) {
    return "–";
  }
  const part = Math.min(100, Math.round((100 * task.aws_seconds) / took));
  return `${Math.round(task.aws_seconds)} s, ${part} %`;
};

type Row = { bars: Bar[]; task: Task };
type Scale = { began: number; ended: number };

/** Work is a block and a wait a thin line, so that they differ without their colours. */
const Bars = ({ of, scale, task }: { of: Bar[]; scale: Scale; task: Task }) => {
  const share = (milliseconds: number) => `${(100 * milliseconds) / Math.max(1, scale.ended - scale.began)}%`;
  return (
    <Box aria-hidden="true" h={4} position="relative" w="full">
      {of.map((bar, place) => (
        <Box
          bg={bar.kind === "wait" ? "fg.muted" : task.state === "failed" && place === of.length - 1 ? "red.solid" : "blue.solid"}
          borderRadius="sm"
          data-kind={bar.kind}
          h={bar.kind === "wait" ? "3px" : 4}
          key={bar.started}
          left={share(bar.started - scale.began)}
          minW="2px"
          position="absolute"
          title={`${bar.kind}: ${exactly((bar.ended - bar.started) / 1000)} from ${moment(new Date(bar.started).toISOString())}`}
          top={bar.kind === "wait" ? "6.5px" : 0}
          width={share(bar.ended - bar.started)}
        />
      ))}
    </Box>
  );
};

const Legend = ({ scale }: { scale: Scale }) => (
  <Box color="fg.muted" columnGap={4} display="flex" flexWrap="wrap" fontSize="sm" mb={2}>
    <span>
      <Box aria-hidden="true" as="span" bg="blue.solid" borderRadius="sm" display="inline-block" h={3} mr={1} verticalAlign="middle" w={5} />
      a process works
    </span>
    <span>
      <Box aria-hidden="true" as="span" bg="fg.muted" display="inline-block" h="3px" mr={1} verticalAlign="middle" w={5} />
      waits without one
    </span>
    <span>{`${moment(new Date(scale.began).toISOString())} to ${moment(new Date(scale.ended).toISOString())}, ${exactly((scale.ended - scale.began) / 1000)}`}</span>
  </Box>
);

type RowsProps = { found: Release; rows: Row[]; scale: Scale };

const TaskLink = ({ found, task }: { found: Release; task: Task }) => (
  <Go to={airflowUrl(found.model, found.run_id, task.task_id)}>{task.task_id}</Go>
);

/** In a narrow window each task has its words, and its bars below them. */
const List = ({ found, rows, scale }: RowsProps) => (
  <Stack as="ul" gap={3} listStyleType="none">
    {rows.map(({ bars: of, task }) => (
      <Box as="li" key={task.task_id}>
        <Text fontSize="sm">
          <TaskLink found={found} task={task} /> {task.state}
          {of.length > 0 ? `, ${exactly(seconds(of))}` : ""}
          {waited(of) === "–" ? "" : `, waited: ${waited(of)}`}
        </Text>
        <Bars of={of} scale={scale} task={task} />
      </Box>
    ))}
  </Stack>
);

const Grid = ({ found, rows, scale }: RowsProps) => (
  <Wide label="When each task ran">
    <Table.Root minW="44rem" size="sm">
      <Table.Header>
        <Table.Row>
          {["task", "state", "took", "waited", "AWS's share", "tries", "when"].map((head) => (
            <Table.ColumnHeader key={head} scope="col" width={head === "when" ? "45%" : undefined}>
              {head}
            </Table.ColumnHeader>
          ))}
        </Table.Row>
      </Table.Header>
      <Table.Body>
        {rows.map(({ bars: of, task }) => (
          <Table.Row key={task.task_id}>
            <Table.ColumnHeader fontWeight="normal" scope="row">
              <TaskLink found={found} task={task} />
            </Table.ColumnHeader>
            <Table.Cell>{task.state}</Table.Cell>
            <Table.Cell whiteSpace="nowrap">{of.length > 0 ? exactly(seconds(of)) : "–"}</Table.Cell>
            <Table.Cell whiteSpace="nowrap">{of.length > 0 ? waited(of) : "–"}</Table.Cell>
            <Table.Cell whiteSpace="nowrap">{awsShare(task, seconds(of))}</Table.Cell>
            <Table.Cell>{task.tries}</Table.Cell>
            <Table.Cell>
              <Bars of={of} scale={scale} task={task} />
            </Table.Cell>
          </Table.Row>
        ))}
      </Table.Body>
    </Table.Root>
  </Wide>
);

const Parts = ({ rows }: { rows: Row[] }) => (
  <Box as="details" mt={2}>
    <summary>Each part as a table</summary>
    <Wide label="Each part as a table">
      <Table.Root size="sm">
        <Heads of={["task", "part", "began", "took"]} />
        <Table.Body>
          {rows.flatMap(({ bars: of, task }) =>
            of.map((bar) => (
              <Table.Row key={`${task.task_id} ${bar.started}`}>
                <Table.ColumnHeader fontWeight="normal" scope="row">
                  {task.task_id}
                </Table.ColumnHeader>
                <Table.Cell>{bar.kind}</Table.Cell>
                <Table.Cell>{moment(new Date(bar.started).toISOString())}</Table.Cell>
                <Table.Cell>{`${exactly((bar.ended - bar.started) / 1000)}${bar.goesOn ? " so far" : ""}`}</Table.Cell>
              </Table.Row>
            )),
          )}
        </Table.Body>
      </Table.Root>
    </Wide>
  </Box>
);

/** When each task worked and when it waited; the bars are drawn for the eye, the words and the table say the same. */
export const Timeline = ({ found }: { found: Release }) => {
  const narrow = useNarrow();
  const rows = found.tasks.filter((task) => task.started).map((task) => ({ bars: bars(task, found.at), task }));
  const drawn = rows.flatMap((row) => row.bars);
  if (drawn.length === 0) {
    return <Text>No task has started yet. The scheduler starts the first one within seconds.</Text>;
  }
  const scale = { began: Math.min(...drawn.map((bar) => bar.started)), ended: Math.max(...drawn.map((bar) => bar.ended)) };
  return (
    <>
      <Legend scale={scale} />
      {narrow ? <List found={found} rows={rows} scale={scale} /> : <Grid found={found} rows={rows} scale={scale} />}
      <Parts rows={rows} />
      {found.trace_id ? (
        <Text fontSize="sm" mt={2}>
          Each call to AWS is in the trace that Airflow sends: <code>{found.trace_id}</code>
        </Text>
      ) : undefined}
    </>
  );
};
