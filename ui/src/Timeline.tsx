import { Box, Table, Text } from "@chakra-ui/react";

import type { Release, Task } from "./client";
import { airflowUrl, moment, span } from "./format";
import { Go, Wide } from "./parts";

const seconds = (task: Task, now: string) =>
  task.started ? (Date.parse(task.ended ?? now) - Date.parse(task.started)) / 1000 : 0;

/** Tell whether a task has run: Airflow gives a time to skipped ones too. */
const hasRun = (task: Task) => task.tries > 0;

/** Write AWS's part of a task's time; it cannot be more than the whole, though the clocks differ. */
const awsShare = (task: Task, took: number): string => {
  if (task.aws_seconds === null || took <= 0) {
    return "–";
  }
  const part = Math.min(100, Math.round((100 * task.aws_seconds) / took));
  return `${Math.round(task.aws_seconds)} s, ${part} %`;
};

/** When each task ran; the bars are drawn for the eye, the words say the same. */
export const Timeline = ({ found }: { found: Release }) => {
  const ran = found.tasks.filter((task) => task.started);
  if (ran.length === 0) {
    return <Text>No task has started yet. The scheduler starts the first one within seconds.</Text>;
  }
  const began = Math.min(...ran.map((task) => Date.parse(task.started ?? "")));
  const ended = Math.max(...ran.map((task) => Date.parse(task.ended ?? found.at)));
  const share = (milliseconds: number) => `${(100 * milliseconds) / Math.max(1, ended - began)}%`;
  return (
    <Wide label="When each task ran">
      <Table.Root minW="36rem" size="sm">
        <Table.Header>
          <Table.Row>
            {["task", "state", "took", "AWS's share", "tries", "when"].map((head) => (
              <Table.ColumnHeader key={head} scope="col" width={head === "when" ? "40%" : undefined}>
                {head}
              </Table.ColumnHeader>
            ))}
          </Table.Row>
        </Table.Header>
        <Table.Body>
          {ran.map((task) => (
            <Table.Row key={task.task_id}>
              <Table.ColumnHeader fontWeight="normal" scope="row">
                <Go to={airflowUrl(found.model, found.run_id, task.task_id)}>{task.task_id}</Go>
              </Table.ColumnHeader>
              <Table.Cell>{task.state}</Table.Cell>
              <Table.Cell>{hasRun(task) ? span(seconds(task, found.at)) : "–"}</Table.Cell>
              <Table.Cell>{awsShare(task, seconds(task, found.at))}</Table.Cell>
              <Table.Cell>{task.tries}</Table.Cell>
              <Table.Cell>
                {hasRun(task) ? (
                  <Box
                    bg={task.state === "failed" ? "red.solid" : "blue.solid"}
                    borderRadius="sm"
                    h={3}
                    ml={share(Date.parse(task.started ?? "") - began)}
                    minW="2px"
                    title={moment(task.started)}
                    width={share(seconds(task, found.at) * 1000)}
                  />
                ) : undefined}
              </Table.Cell>
            </Table.Row>
          ))}
        </Table.Body>
      </Table.Root>
    </Wide>
  );
};
