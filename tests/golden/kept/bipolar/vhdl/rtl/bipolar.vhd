-- bipolar: parallel pipeline of network `bipolar`.
--
-- Latency 4 cycles: an input sampled at one rising edge of clk gives an output that can be sampled
-- 4 edges later. A new input every cycle. Made for 5 ns on xcvu9p-flga2104-2L-e; the delay model says 4.981 ns.
-- Element 0 stands in the low bits of each port; every element of a port has the same width and holds an integer
-- code, two's complement where signed. Real value = scale * code.
--   in_x: 8 x 2 bits signed, shape [8], scale 1
--   out_matmul_6: 5 x 6 bits signed, shape [5], scale 1/4
--   out_argmax_7: 1 x 3 bits unsigned, shape [], scale 1
--   out_topk_8_1: 2 x 3 bits unsigned, shape [2], scale 1
-- rst (synchronous, active high) clears the valid bits only; data need no reset.
library ieee;
use ieee.std_logic_1164.all;
use ieee.numeric_std.all;

entity bipolar is
  port (
    clk : in  std_logic;
    rst : in  std_logic;
    in_valid : in  std_logic;
    in_x : in  work.bipolar_types.in_x_t;
    out_valid : out std_logic;
    out_matmul_6 : out work.bipolar_types.out_matmul_6_t;
    out_argmax_7 : out work.bipolar_types.out_argmax_7_t;
    out_topk_8_1 : out work.bipolar_types.out_topk_8_1_t);
end entity bipolar;

architecture rtl of bipolar is
  signal valid : unsigned(3 downto 0);
  signal x : unsigned(12 downto 0);
  signal matmul_2 : unsigned(35 downto 0);
  signal multithreshold_4 : unsigned(16 downto 0);
  signal matmul_6 : unsigned(23 downto 0);
  signal argmax_7 : unsigned(66 downto 0);
  signal topk_8 : unsigned(2 downto 0);
begin
  -- One bit per register stage.
  out_valid <= valid(3);
  u_x : entity work.bipolar_x
    port map (
      clk => clk,
      in_x => unsigned(in_x),
      result => x);
  u_matmul_2 : entity work.bipolar_matmul_2
    port map (
      clk => clk,
      from_x => x,
      result => matmul_2);
  u_multithreshold_4 : entity work.bipolar_multithreshold_4
    port map (
      clk => clk,
      from_matmul_2 => matmul_2,
      result => multithreshold_4);
  u_matmul_6 : entity work.bipolar_matmul_6
    port map (
      clk => clk,
      from_multithreshold_4 => multithreshold_4,
      result => matmul_6);
  u_argmax_7 : entity work.bipolar_argmax_7
    port map (
      clk => clk,
      from_matmul_6 => matmul_6,
      result => argmax_7);
  u_topk_8 : entity work.bipolar_topk_8
    port map (
      clk => clk,
      from_argmax_7 => argmax_7,
      result => topk_8);
  out_matmul_6 <= std_logic_vector(unsigned'(argmax_7(57 downto 52) & argmax_7(45 downto 40) & argmax_7(33 downto 28)
      & argmax_7(21 downto 16) & argmax_7(9) & argmax_7(9 downto 5)));
  out_argmax_7 <= std_logic_vector(argmax_7(66 downto 64));
  out_topk_8_1 <= std_logic_vector(unsigned'(topk_8(2 downto 0) & argmax_7(66 downto 64)));

  process (clk)
  begin
    if rising_edge(clk) then
      if rst = '1' then
        valid <= (others => '0');
      else
        valid <= valid(2 downto 0) & in_valid;
      end if;
    end if;
  end process;

end architecture rtl;
