return {now, lying}
