import { Box, Button, Text } from "@chakra-ui/react";
import { useId, useState } from "react";

import { releaseVersion, RequestError, type Version } from "./client";
import { runUrl } from "./format";
import { Go } from "./parts";

type Props = { label: string; model: string; onStarted?: () => void; refusal: string | null; version: Version };

/** The button that starts a release, what came of it, or why somebody may not press it. */
export const StartButton = ({ label, model, onStarted, refusal, version }: Props) => {
  const [sending, setSending] = useState(false);
  const [problem, setProblem] = useState<string>();
  const [runId, setRunId] = useState<string>();
  const why = useId();

  const start = async () => {
    setSending(true);
    setProblem(undefined);
    try {
      setRunId((await releaseVersion(model, version)).dag_run_id);
      onStarted?.();
    } catch (error) {
      setProblem(error instanceof RequestError ? error.detail : String(error));
    }
    setSending(false);
  };

  if (runId) {
    return (
      <Text role="status">
        The release has started: <Go to={runUrl(model, runId)}>{runId}</Go>
      </Text>
    );
  }
  return (
    <Box>
      <Button
        aria-describedby={refusal ? why : undefined}
        aria-disabled={refusal ? true : undefined}
        colorPalette="blue"
        disabled={sending}
        onClick={() => {
          if (!refusal) {
            void start();
          }
        }}
        opacity={refusal ? 0.5 : undefined}
        size="sm"
      >
        {sending ? "Sending…" : label}
      </Button>
      {refusal ? (
        <Text fontSize="sm" id={why} mt={1}>
          {refusal}
        </Text>
      ) : undefined}
      {problem ? (
        <Text color="fg.error" mt={1} overflowWrap="anywhere" role="alert">
          {problem}
        </Text>
      ) : undefined}
    </Box>
  );
};
