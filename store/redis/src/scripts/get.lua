return {now, present}
